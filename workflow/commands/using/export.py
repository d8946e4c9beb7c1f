"""A trained network as one file that can be carried away, with a model card.

RUN is a run's folder, or a folder of results with a data set and a method. FILE ends with
.safetensors; with several seeds each has a file of its own, FILE-seed0 and so on, unless --seed
chooses one. Without FILE it goes into the folder exports/ of the results, where the report of a
later run links it. The file holds the weights, and in its metadata the network's options, classes,
preparation, protocol, provenance and scores. The card beside it, in Markdown, says the same for
people. `resformer predict FILE IMAGES` and, in Python, `resformer.load(FILE)` need nothing else.

    resformer export results/demo isic2017 resformer_seq resformer.safetensors --seed 0
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from workflow.commands.arguments import add_seeds


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "words", nargs="*", metavar="RUN FILE", help="the trained run, then the file to write"
    )
    add_seeds(parser)
    parser.add_argument(
        "--onnx",
        action="store_true",
        help="write FILE.onnx too, for programs without torch; needs the extra `onnx`",
    )


def run(options: Namespace) -> None:
    """Write the files, and name them.

    Raises:
        UsageError: there is not one file, or it has another suffix.
    """
    from workflow.base.errors import UsageError
    from workflow.prediction.export import export, file_of
    from workflow.prediction.members import SUFFIX, find_runs

    runs, rest = find_runs(options.words, options.seed)
    if len(rest) > 1 or not all(word.endswith(SUFFIX) for word in rest):
        raise UsageError(f"FILE: found {' '.join(rest)}; give one file that ends with {SUFFIX}")
    for one in runs:
        file = file_of(one, Path(rest[0]) if rest else None, several=len(runs) > 1)
        for written in export(one, file):
            sys.stdout.write(f"{written}\n")
        if options.onnx:
            from workflow.prediction.members import find_members
            from workflow.prediction.onnx_file import write_onnx

            (member,), _ = find_members([str(file)])
            off = write_onnx(member, file.with_suffix(".onnx"))
            sys.stdout.write(f"{file.with_suffix('.onnx')} (logits within {off:.1g} of torch's)\n")
