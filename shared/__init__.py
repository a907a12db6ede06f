"""The parts of tipsweep that know nothing of triggers."""
