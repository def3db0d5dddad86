"""Engines that are somebody else's: DashScope, Alibaba's service of speech. `DashScope` is the door."""
