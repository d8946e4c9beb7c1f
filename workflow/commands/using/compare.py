"""Which numbers differ between two results: two presets, or two versions of the code.

FIRST and SECOND are folders of results, of this checkout or of another one. Runs that both have are
compared on the test images and seeds that both have, with the paired tests of the tables, corrected
for all numbers together. With --out, comparison.txt, .csv and .html are written as well.

    resformer compare results/demo ../before/results/demo --out comparison
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FIRST SECOND", help="two folders of results"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="a folder for the comparison as text, CSV and page"
    )


def run(options: Namespace) -> None:
    """Print the comparison.

    Raises:
        UsageError: there are not two folders.
    """
    from workflow.base.errors import UsageError
    from workflow.base.files import write_text
    from workflow.comparison.compare import compare
    from workflow.comparison.formats import as_csv, as_page, as_text
    from workflow.comparison.sides import ComparedSide

    if len(options.folders) != 2:
        raise UsageError(f"FIRST SECOND: found {len(options.folders)} folders; give two")
    first, second = (ComparedSide.read(folder) for folder in options.folders)
    comparison = compare(first, second)
    text = as_text(comparison)
    sys.stdout.write(text)
    if options.out:
        made = {"txt": text, "csv": as_csv(comparison), "html": as_page(comparison)}
        for suffix, content in made.items():
            write_text(options.out / f"comparison.{suffix}", content)
        sys.stdout.write(f"{options.out / 'comparison.html'}\n")
