"""The errors of the host."""


class StartupError(Exception):
    """The app cannot run; the message names the object, the rule and the fix."""


class CallFailedError(Exception):
    """A function raised an exception, ran too long or died with its worker process."""
