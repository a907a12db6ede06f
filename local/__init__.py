"""The whole of tipsweep on one machine: simulator, host stand-in and demo."""
