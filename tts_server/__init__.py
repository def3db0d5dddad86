"""The server's own room: text in, audio out. It computes nothing itself; voices run in `inference`."""
