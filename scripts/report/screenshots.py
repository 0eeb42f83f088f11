#!/usr/bin/env python3
"""Look at a report: pictures of it in light and dark at several widths, and a PDF as a printer would make it.

    python scripts/report/screenshots.py runs/mine --out pictures
    python scripts/report/screenshots.py reports/quickstart/result.json --out pictures --width 1320

Writes report-WIDTH-light.png, …-dark.png (the first screen; the whole page with --full) and report.pdf.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from distbench.cli.reading import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
DRAWN = "html.drawn, html.no-plotly"


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory or a result.json")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, action="append", help="repeatable; 1320, 768 and 390 where left out")
    parser.add_argument("--height", type=int, default=900, help="of the window, 900 where left out")
    parser.add_argument("--full", action="store_true", help="the whole page, not only the first screen")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    page = write_report(options.run, options.out / "report.html").path
    path = os.environ.get("DISTBENCH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise SystemExit("no Chromium is installed")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        for width in options.width or [1320, 768, 390]:
            for scheme in ("light", "dark"):
                target = options.out / f"report-{width}-{scheme}.png"
                picture(browser, page, (width, options.height), scheme, target, full=options.full)
                print(target)
        print(printed(browser, page, options.out / "report.pdf"))
        browser.close()


def picture(browser: Browser, page: Path, size: tuple[int, int], scheme: str, target: Path, *, full: bool) -> None:
    """Write one picture."""
    width, height = size
    opened = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    opened.goto(page.as_uri())
    opened.wait_for_selector(DRAWN, state="attached")
    opened.screenshot(path=target, full_page=full)
    opened.close()


def printed(browser: Browser, page: Path, target: Path) -> Path:
    """Write the page as a PDF."""
    opened = browser.new_page(viewport={"width": 1320, "height": 900})
    opened.goto(page.as_uri())
    opened.wait_for_selector(DRAWN, state="attached")
    opened.pdf(path=target, format="A4", print_background=False)
    opened.close()
    return target


if __name__ == "__main__":
    main()
