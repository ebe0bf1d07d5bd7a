"""Draw what a report looks like in a browser, in columns, for a README.

    python benchmarks/report_picture.py runs/digits-wn-0/report.html --columns 1 4 7 \\
        --out docs/report.png

It takes Playwright (`pip install -e '.[test]'`) and a Chromium on the PATH.
"""

import argparse
import io
import pathlib
import shutil
import sys

from PIL import Image

WIDTH, HEIGHT, GAP = 720, 1400, 24


def screenshot(report: pathlib.Path, width: int) -> Image.Image:
    """The whole page as it is at that width in pixels."""
    from playwright import sync_api

    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("report_picture: no chromium on the PATH: install it")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": HEIGHT})
        page.goto(report.resolve().as_uri())
        png = page.screenshot(full_page=True)
        browser.close()
    return Image.open(io.BytesIO(png)).convert("RGB")


def in_columns(page: Image.Image, columns: list[int]) -> Image.Image:
    """Those of a page's columns of `HEIGHT` pixels, counted from 1, side by side."""
    sheet = Image.new("RGB", (len(columns) * (page.width + GAP) - GAP, HEIGHT), "white")
    for place, column in enumerate(columns):
        top = (column - 1) * HEIGHT
        part = page.crop((0, top, page.width, min(top + HEIGHT, page.height)))
        sheet.paste(part, (place * (page.width + GAP), 0))
    return sheet


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=pathlib.Path, help="a report.html")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="PNG file to write")
    parser.add_argument(
        "--columns", type=int, nargs="+", default=[1, 2, 3], help="which, from 1; default: 1 2 3"
    )
    options = parser.parse_args()
    if not options.report.is_file():
        print(f"report_picture: {options.report} is not a file", file=sys.stderr)
        return 2
    page = screenshot(options.report, WIDTH)
    most = -(-page.height // HEIGHT)
    if not all(1 <= column <= most for column in options.columns):
        print(f"report_picture: --columns: the page has those from 1 to {most}", file=sys.stderr)
        return 2
    sheet = in_columns(page, options.columns)
    sheet.quantize(128).save(options.out, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
