"""Everything to run tipsweep on one machine: simulator, host and demo."""
