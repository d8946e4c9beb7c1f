"""The size of a report and how fast it opens: `python -m benchmarks.pages [REPORT]`.

REPORT is the folder of a report, such as results/paper/report; without it, every report below
results/ is looked at. Prints the bytes of index.html and of each part of the report beside their
limits, and the time that Chromium takes to open index.html from disk: the median of several fresh
profiles, from the start of the navigation to the end of its load event.
"""

import argparse
import shutil
import statistics
import sys
from collections import Counter
from pathlib import Path

from playwright.sync_api import sync_playwright

# Limits of the report at the paper's size: bytes, bytes, seconds.
INDEX, WHOLE, OPEN = 2e6, 300e6, 1.5
TIMES = 7
LOADED = "() => performance.getEntriesByType('navigation')[0].loadEventEnd"


def main() -> int:
    """Print what each report weighs; the exit code is 1 if there is none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("report", type=Path, nargs="*", help="the folder of a report")
    given = parser.parse_args()
    folders = given.report or sorted(Path("results").glob("*/report"))
    for folder in folders:
        print("\n".join(summary(folder)), flush=True)
    if not folders:
        print("no report below results/; name its folder, or make it: snakemake --cores all report")
    return int(not folders)


def summary(folder: Path) -> list[str]:
    """Sizes by part, the largest first, and the time to open the first page."""
    parts, count = Counter[str](), Counter[str]()
    for file in (file for file in folder.rglob("*") if file.is_file()):
        inside = file.relative_to(folder).parts
        part = f"{inside[0]}/" if len(inside) > 1 else f"*{file.suffix}"
        parts[part] += file.stat().st_size
        count[part] += 1
    index, whole = (folder / "index.html").stat().st_size, sum(parts.values())
    lines = [f"{folder}", f"{'part':<24}{'MB':>10}{'files':>10}"]
    for part, size in parts.most_common():
        lines.append(f"{part:<24}{size / 1e6:>10.2f}{count[part]:>10}")
    lines.append(f"{'all':<24}{whole / 1e6:>10.2f}{count.total():>10}   at most {WHOLE / 1e6:.0f}")
    lines.append(f"{'index.html':<24}{index / 1e6:>10.3f}{1:>10}   at most {INDEX / 1e6:.0f}")
    seconds = opening(folder / "index.html")
    if seconds is None:
        return [*lines, "no Chromium on the path, so the time to open was not measured"]
    return [*lines, f"{'opens, seconds':<24}{seconds:>10.2f}{'':>10}   at most {OPEN}"]


def opening(page: Path) -> float | None:
    """Median seconds to open a page from disk; None without a browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        found = []
        for _ in range(TIMES):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            opened = context.new_page()
            opened.goto(page.resolve().as_uri())
            opened.wait_for_function(f"({LOADED})() > 0")
            found.append(opened.evaluate(LOADED) / 1000)
            context.close()
        browser.close()
    return statistics.median(found)


if __name__ == "__main__":
    sys.exit(main())
