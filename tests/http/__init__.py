"""Tests of the HTTP functions."""
