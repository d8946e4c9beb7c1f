"""Write docs/fidelity.md anew, the page of all decisions.

Give it after a change of `workflow/report/decisions.yaml`, where the decisions are. A test fails
where the page is out of date.

    resformer fidelity
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import require_checkout


def add_arguments(parser: ArgumentParser) -> None:
    """None: there is one page."""


def run(options: Namespace) -> None:
    """Write, and say what was written."""
    require_checkout("fidelity")
    from workflow.base.files import write_text
    from workflow.report.decisions import DOCUMENT, read_decisions, written

    write_text(DOCUMENT, written(read_decisions()))
    sys.stdout.write(f"{DOCUMENT.relative_to(DOCUMENT.parents[1])}\n")
