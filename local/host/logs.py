"""The log of the host and of its worker process."""

import logging
import sys
from typing import Final

NOISY_LOGGERS: Final = ("azure", "urllib3", "uvicorn")


def log_to_stderr() -> None:
    """Log to the standard error, which the host and its worker process share."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
