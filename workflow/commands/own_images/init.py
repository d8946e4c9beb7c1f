"""Write a first configuration for a folder of images of your own.

Looks at the names and values of what lies in FOLDER, at any depth: images, masks (their folder or
suffix, values or colours), a CSV of labels, groups that ids seem to name, sizes, volumes. Writes
NAME.yaml with a comment at every guess, and overwrites nothing. Read it through, then give it to
`resformer check`.

    resformer init data/polyps
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from workflow.base.errors import UsageError


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="has the images, at any depth")
    parser.add_argument("--name", metavar="NAME", help="of the data set; default: of the folder")
    parser.add_argument("--to", metavar="FILE", help="to write; default: NAME.yaml")


def run(options: Namespace) -> None:
    """Write the file.

    Raises:
        UsageError: there is no such folder, or the file is there already.
    """
    from workflow.base.files import write_text
    from workflow.data.inspection.guess import first_configuration, name_for

    if options.folder is None:
        raise UsageError("FOLDER: found none; give a folder with images, such as data/polyps")
    folder = Path(options.folder)
    if not folder.is_dir():
        raise UsageError(f"FOLDER: found {folder}, which is no folder; name one with images")
    name = options.name or name_for(folder)
    if name_for(Path(name)) != name:
        raise UsageError(f"--name: found {name}; give small letters, digits and _, a letter first")
    file = Path(options.to or f"{name}.yaml")
    if file.exists():
        raise UsageError(f"--to: found {file}, which is there already; name another file")
    text = first_configuration(folder, name)
    write_text(file, text)
    sys.stdout.write(
        f"{text}\nWritten to {file}. Read it through; then look at what it brings in:\n"
        f"  resformer check {file}\n"
    )
