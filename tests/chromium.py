"""Debian's Chromium, driven by Playwright: one browser for the page's tests and for the pictures in docs/."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PATH = Path("/usr/bin/chromium")
# Root has no sandbox, this machine no display, and nothing may be asked of the internet.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser and close it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(PATH), args=FLAGS)
        yield browser
        browser.close()
