"""A real headless Chromium, driven by its command line."""

import html
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@dataclass(frozen=True)
class Chromium:
    """Opens one page at a time, each with a profile of its own."""

    program: str
    folder: Path

    @classmethod
    def find(cls, folder: Path) -> "Chromium":
        """Find the browser, or skip the test."""
        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        if program is None:
            pytest.skip("no Chromium on PATH; on Debian: apt-get install --yes chromium")
        return cls(program, folder)

    def dom(self, url: str) -> str:
        """Return the document as the browser has built it, scripts included."""
        return self._run("--dump-dom", url)

    def screenshot(self, url: str, file: Path, *, width: int, height: int, dark: bool) -> None:
        """Take a picture of the page."""
        theme = ("--blink-settings=preferredColorScheme=0",) if dark else ()
        self._run(f"--screenshot={file}", f"--window-size={width},{height}", *theme, url)

    def _run(self, *arguments: str) -> str:
        command = [self.program, *FLAGS, f"--user-data-dir={self.folder / 'profile'}", *arguments]
        result = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout


def text_of(dom: str) -> str:
    """Return the visible text of a document without styles."""
    without_style = re.sub(r"(?s)<(style|title)\b.*?</\1>", "", dom)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", without_style)).split())
