"""Write the configuration's JSON schema anew, for editors and Snakemake.

Writes `workflow/config/config.schema.json`. Give it after a change of a key in `workflow/config/`.

    resformer schema
"""

import sys
from argparse import ArgumentParser, Namespace

from workflow.commands.arguments import require_checkout


def add_arguments(parser: ArgumentParser) -> None:
    """None: there is one schema."""


def run(options: Namespace) -> None:
    """Write, and say what was written."""
    require_checkout("schema")
    from workflow.config.schema import write_schema

    sys.stdout.write(f"{write_schema()}\n")
