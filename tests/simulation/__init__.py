"""A deterministic simulation of the app, its hosts, its users and everything around them."""
