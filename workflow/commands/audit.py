"""What cannot be in a paper's printed tables: numbers that are impossible or contradict each other.

Reads the printed numbers of any paper, one a line with columns table, dataset, method, task
(classification or segmentation), metric and value, and says by how much they are off and which
single corrections would mend it. Metrics acc, sen, spe, ji and dsc are in per cent. One `dataset`
is one test set: rows of several tables that name it must share its prevalence. Without a file, the
paper that this project reproduces is audited.

    resformer audit
    resformer audit tables.csv --claims claims.yaml --format md
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from workflow.base.errors import UsageError

# Those of `workflow.audit.formats`, which takes longer to load than --help may take.
FORMATS = ("text", "md", "csv", "json")


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "tables", nargs="?", type=Path, metavar="TABLES", help="CSV of printed results"
    )
    parser.add_argument(
        "--facts",
        type=Path,
        metavar="FILE",
        help="CSV of a printed summary of data sets: columns dataset and any of "
        "volumes, image_size, training, testing",
    )
    parser.add_argument(
        "--claims",
        type=Path,
        metavar="FILE",
        help="YAML of the text's claims; workflow/results/published/claims.yaml is an example",
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="YAML of what else is known of the data sets; "
        "workflow/results/published/record.yaml is an example",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        metavar="NAME",
        help=f"{', '.join(FORMATS)}; default: text",
    )


def run(options: Namespace) -> None:
    """Print the findings.

    Raises:
        AuditError: an input cannot be used.
        UsageError: something is said of tables that are not given.
    """
    from workflow.audit.engine import audit
    from workflow.audit.formats import WRITERS
    from workflow.audit.paper import published_paper, read_paper

    extras = (options.facts, options.claims, options.record)
    if options.tables is not None:
        paper = read_paper(options.tables, *extras)
    elif any(extras):
        raise UsageError("--facts, --claims and --record belong to a file of tables; name it too")
    else:
        paper = published_paper()
    sys.stdout.write(WRITERS[options.format](audit(paper)))
