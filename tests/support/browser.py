"""A headless Chromium (Debian's), and pages that tell what they complained of."""

import contextlib
import shutil

import pytest

CHROMIUM = shutil.which("chromium")


@contextlib.contextmanager
def chromium():
    if CHROMIUM is None:
        pytest.skip("Debian's chromium is not installed (deploy/locks/debian-tests.txt)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A test machine may run as root and without a user namespace.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Watched:
    """A page, with what its console and its requests said."""

    def __init__(self, browser, width=1280, height=900, **options):
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.context.set_default_timeout(15000)
        self.page = self.context.new_page()
        self.complaints, self.requests = [], []
        self.page.on("console", lambda m: self.complaints.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def close(self):
        self.context.close()
