"""Write ARCHITECTURE.md anew, the page that says where everything is and why.

It is made from the packages' docstrings, the rules, and the imports as they are. A test fails where
it is out of date. With `--check` nothing is written, and the exit code is 1 where it is.

    resformer architecture --check
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import require_checkout


def add_arguments(parser: ArgumentParser) -> None:
    """Whether to write."""
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if the page is out of date"
    )


def run(options: Namespace) -> int:
    """Write the page, or see whether it is up to date; returns the exit code."""
    require_checkout("architecture")
    from workflow.base.architecture import PAGE, ROOT, architecture
    from workflow.base.files import write_text
    from workflow.base.source_tree import SourceTree

    file, page = ROOT / PAGE, architecture(SourceTree.read(ROOT))
    same = file.is_file() and file.read_text(encoding="utf-8") == page
    if not same and not options.check:
        write_text(file, page)
    if same:
        outcome = "up to date"
    else:
        outcome = "out of date; `resformer architecture` writes it" if options.check else "written"
    sys.stdout.write(f"{PAGE}: {outcome}\n")
    return int(options.check and not same)
