"""Pictures of a report for the README: `python -m benchmarks.screenshots results/demo`.

Opens the report of a folder of results from disk in headless Chromium, and writes its overview and
its image browser into docs/images/ as WebP, each of at most 200 kB; prints what they weigh. The
warnings of the report have to be in the picture, so that a demo is seen to be one.
"""

import argparse
import io
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from workflow.base.files import replacing

ROOT = Path(__file__).parents[1]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LARGEST = 200_000  # bytes
QUALITIES = (90, 80, 70, 60, 50, 40)
WIDTH = 1200
# Whether the pictures inside the window are loaded; those below it may wait.
LOADED = (
    "() => [...document.images].every("
    "(one) => one.complete || one.getBoundingClientRect().top > innerHeight)"
)
DRAWN = "() => document.querySelectorAll('#browser:not([hidden]) #grid canvas').length > 1"


class Shot(NamedTuple):
    """One picture.

    Attributes:
        name: the name of the picture's file.
        page: the page of the report, with the fragment of the address.
        height: the height of the window in CSS pixels; its width is `WIDTH`.
        ready: a script that is true once everything is drawn.
    """

    name: str
    page: str
    height: int
    ready: str = LOADED


OVERVIEW = Shot("overview.webp", "index.html", 1270)
IMAGES = Shot("images.webp", "images.html", 1080, DRAWN)


def main() -> int:
    """Write the pictures; the exit code is 1, with what to do, if there is no report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.screenshots", description=__doc__)
    parser.add_argument("results", type=Path, help="a folder of results, such as results/demo")
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "images", metavar="FOLDER")
    parser.add_argument(
        "--images",
        default="",
        metavar="FRAGMENT",
        help="what the image browser shows, as after the # of its address: d=isic2017&v=outcomes",
    )
    given = parser.parse_args()
    report = given.results / "report"
    if not (report / "index.html").is_file():
        print(f"{report}: no report; make it: snakemake --cores all report")
        return 1
    shown = IMAGES._replace(page=f"{IMAGES.page}#{given.images}")
    for file in take(report, given.into, (OVERVIEW, shown)):
        print(f"{file}: {file.stat().st_size / 1e3:.0f} kB, at most {LARGEST / 1e3:.0f}")
    return 0


def take(report: Path, folder: Path, shots: tuple[Shot, ...] = (OVERVIEW, IMAGES)) -> list[Path]:
    """Write the pictures of a report.

    Args:
        report: its folder.
        folder: the folder that the pictures are written to.
        shots: which.

    Returns:
        The files.

    Raises:
        RuntimeError: there is no browser, a warning of the report would be outside a picture, or a
            picture is too large.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise RuntimeError(f"no browser: expected one of {', '.join(PROGRAMS)} on the path")
    files = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for shot in shots:
            picture = _picture(browser, report, shot)
            with replacing(folder / shot.name) as temporary:
                temporary.write_bytes(small(picture, LARGEST))
            files.append(folder / shot.name)
        browser.close()
    return files


def _picture(browser: Browser, report: Path, shot: Shot) -> Image.Image:
    name, _, fragment = shot.page.partition("#")
    context = browser.new_context(
        viewport={"width": WIDTH, "height": shot.height},
        color_scheme="light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    address = (report / name).resolve().as_uri()
    page.goto(f"{address}#{fragment}" if fragment else address)
    page.wait_for_function(shot.ready)
    _check_warnings(page, shot)
    data = page.screenshot()
    context.close()
    return Image.open(io.BytesIO(data)).convert("RGB")


def _check_warnings(page: Page, shot: Shot) -> None:
    """Every warning at the head of the page has to be inside the picture."""
    for warning in page.locator(".notices p").all():
        box = warning.bounding_box()
        if box is None or box["y"] < 0 or box["y"] + box["height"] > shot.height:
            raise RuntimeError(
                f"{shot.page}: the warning “{warning.inner_text()}” would not be in the picture; "
                "make its window taller"
            )


def small(picture: Image.Image, largest: int) -> bytes:
    """A picture as WebP of at most so many bytes, as good as fits.

    Raises:
        RuntimeError: it is larger even at the lowest quality.
    """
    for quality in QUALITIES:
        stream = io.BytesIO()
        picture.save(stream, "WEBP", quality=quality, method=6)
        if stream.tell() <= largest:
            return stream.getvalue()
    raise RuntimeError(
        f"a picture of {picture.width}×{picture.height} pixels takes more than {largest} bytes at "
        "the lowest quality: make its window smaller"
    )


if __name__ == "__main__":
    sys.exit(main())
