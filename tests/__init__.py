"""The tests of tipsweep."""
