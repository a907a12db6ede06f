"""The sweep of the whole sandbox."""
