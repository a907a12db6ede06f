"""A small replacement for the Functions host, for machines without Core Tools."""
