"""The base of every error that tipsweep raises on purpose."""


class TipsweepError(Exception):
    """Something tipsweep refuses or cannot do; its text names the object and what to do."""
