"""The error of the host."""


class StartupError(Exception):
    """The app cannot run; the message names the object, the rule and the fix."""
