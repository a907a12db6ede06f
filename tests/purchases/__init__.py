"""Tests of `purchases`."""
