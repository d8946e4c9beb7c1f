"""Command line of the audit: `python -m workflow.audit.command [TABLES.csv] [options]`.

Reads the printed numbers of any paper, one a line with columns table, dataset, method, task
(classification or segmentation), metric and value, and says which are impossible or contradict
each other, by how much, and which single corrections would mend it. Metrics acc, sen, spe, ji and
dsc are in per cent. One `dataset` is one test set: rows of several tables that name it must share
its prevalence. Without a file, the paper that this project reproduces is audited.
"""

import argparse
import sys
from pathlib import Path

from workflow.audit.engine import audit
from workflow.audit.formats import WRITERS
from workflow.audit.paper import published_paper, read_paper
from workflow.audit.rounding import AuditError


def run(arguments: list[str]) -> str:
    """What the command prints.

    Raises:
        AuditError: an input cannot be used.
    """
    options = _parser().parse_args(arguments)
    extras = (options.facts, options.claims, options.record)
    if options.tables is not None:
        paper = read_paper(options.tables, *extras)
    elif any(extras):
        raise AuditError("--facts, --claims and --record belong to a file of tables; name it too")
    else:
        paper = published_paper()
    return WRITERS[options.format](audit(paper))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workflow.audit.command",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tables", nargs="?", type=Path, help="CSV of printed results")
    parser.add_argument(
        "--facts",
        type=Path,
        help="CSV of a printed summary of data sets: columns dataset and any of "
        "volumes, image_size, training, testing",
    )
    parser.add_argument(
        "--claims", type=Path, help="YAML of the text's claims; published/claims.yaml is an example"
    )
    parser.add_argument(
        "--record",
        type=Path,
        help="YAML of what else is known of the data sets; published/record.yaml is an example",
    )
    parser.add_argument("--format", choices=[*WRITERS], default="text")
    return parser


if __name__ == "__main__":
    try:
        sys.stdout.write(run(sys.argv[1:]))
    except AuditError as error:
        sys.exit(f"error: {error}")
