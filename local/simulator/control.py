"""The control of a running simulator over HTTP."""

PREFIX = "/_simulator"
