"""The Partner Center REST API as tipsweep uses it; knows nothing of deletions."""
