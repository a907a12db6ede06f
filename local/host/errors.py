"""The one error of the stand-in."""


class StartupError(Exception):
    """The app cannot be run as it stands; the message names the object, the rule and the remedy."""
