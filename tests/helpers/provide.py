"""Find or provide a Chromium for the browser tests: `python tests/helpers/provide.py`.

It takes an installed one, else the system's package if we are root, else Playwright's own download.
If all fail, the tests that need a browser are skipped with a warning; in CI they fail.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def in_ci() -> bool:
    """Whether a missing browser is a failure."""
    return os.environ.get("CI") == "true"


def find_browser() -> Path | None:
    """A Chromium that runs, or None."""
    return next((path for path in _candidates() if path.exists() and version(path)), None)


def version(browser: Path) -> str:
    """The version line of a browser; empty if it does not run, like the placeholders of some systems."""
    try:
        said = subprocess.run([browser, "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def provide_browser() -> Path | None:
    """`find_browser`, after attempts to install one if there is none."""
    for install in (None, _install_from_system, _install_playwrights_own):
        if install:
            print(f"No Chromium yet; trying {install.__name__.removeprefix('_').replace('_', ' ')}.", flush=True)
            install()
        if browser := find_browser():
            return browser
    return None


def _candidates() -> Iterator[Path]:
    yield from (Path(path) for name in NAMES if (path := shutil.which(name)))
    yield MAC
    with sync_playwright() as playwright:  # last, because starting Playwright takes a moment
        yield Path(playwright.chromium.executable_path)


def _install_from_system() -> None:
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _try(["apt-get", "update", "-qq"], env=quiet)
        _try(["apt-get", "install", "-y", "-qq", "--no-install-recommends",
              "chromium", "fonts-liberation", "fonts-dejavu-core"], env=quiet)


def _install_playwrights_own() -> None:
    _try([sys.executable, "-m", "playwright", "install", "chromium"])


def _try(command: list[str], env: dict[str, str] | None = None) -> None:
    """Run a command and ignore its failure: the caller looks for a browser afterwards."""
    try:
        subprocess.run(command, env=env, stdin=subprocess.DEVNULL, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{' '.join(command)}: {error}", flush=True)


def main() -> int:
    """Print which browser the tests will use. Returns 1 if there is none and CI needs one."""
    if browser := provide_browser():
        print(f"Browser for the tests: {version(browser)} ({browser})")
        return 0
    print("*" * 78 + "\nNO BROWSER: no Chromium was found or could be installed, so the browser tests "
          + ("fail." if in_ci() else "are skipped.") + "\n" + "*" * 78, file=sys.stderr)
    return 1 if in_ci() else 0


if __name__ == "__main__":
    sys.exit(main())
