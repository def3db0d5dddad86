"""The HTTP side: what callers send is checked and becomes a request to the gateway; what it gives goes out as audio."""
