"""What trained networks find in images and volumes of your own.

RUN is a file that `resformer export` wrote (several are averaged), a run's folder, or a folder of
results with a data set and a method, such as results/paper isic2017 resformer_seq: all its seeds,
averaged, or those of --seed. IMAGE is a file, a folder, a glob in quotation marks, a volume
(MetaImage, NIfTI, NRRD), the folder of a DICOM series, or a TIFF of several pages.

Writes masks of the images' own size whose values are the classes, predictions.csv, a page to look
at (index.html), and refused.csv of what could not be used, which stops nothing; the exit code is 1
if there was any. With several seeds, disagreement/ has the share of seeds that give a pixel
another class than the mask, from 0 to 255.

    resformer predict results/demo isic2017 resformer_seq photographs --out masks --overlays
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from workflow.commands.arguments import add_seeds, whole


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "words", nargs="*", metavar="RUN IMAGE", help="the network or networks, then the images"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the folder to write to; has to be given"
    )
    add_seeds(parser)
    parser.add_argument(
        "--flips",
        action="store_true",
        help="average over the flips that training drew from: slower, often a little better",
    )
    parser.add_argument(
        "--overlays", action="store_true", help="write images with what was found painted on them"
    )
    parser.add_argument(
        "--references",
        type=Path,
        action="append",
        metavar="PLACE",
        help="score the predictions: a folder of reference masks, or a CSV of labels (id, and a "
        "column of 0 and 1 per label); may be given again",
    )
    parser.add_argument(
        "--intensity",
        type=_intensity,
        metavar="RULE",
        help="which intensities of volumes become 0 and 255: type, volume, or LOW,HIGH; default: "
        "as in training",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto"
    )
    parser.add_argument(
        "--batch", type=whole(1), metavar="N", help="images of a batch; default: as evaluation"
    )
    parser.add_argument(
        "--threads", type=whole(1), metavar="N", help="default: all processors there are"
    )
    parser.add_argument(
        "--replace", action="store_true", help="remove earlier predictions from DIR first"
    )


def _intensity(text: str) -> str | tuple[float, float]:
    if text in ("type", "volume"):
        return text
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"found {text}; give type, volume, or LOW,HIGH") from None
    if not low < high:
        raise ArgumentTypeError(f"found {text}; the first number has to be below the second")
    return low, high


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def run(options: Namespace) -> int:
    """Predict, and say what came of it."""
    from workflow.base.errors import UsageError
    from workflow.prediction.inputs import find_inputs
    from workflow.prediction.members import find_members
    from workflow.prediction.predict import predict
    from workflow.prediction.references import find_references
    from workflow.prediction.request import Wanted, evaluation_of, with_intensity

    members, words = find_members(options.words, options.seed)
    if not words:
        raise UsageError("IMAGE: missing; give files, folders or globs after RUN")
    if options.out is None:
        raise UsageError("--out: missing; name the folder to write to")
    if options.intensity is not None:
        members = with_intensity(members, options.intensity)
    evaluation = evaluation_of(members[0])
    images, refused = find_inputs(words)
    references = None
    if options.references:
        references = find_references(options.references, members[0].about, evaluation)
    outcome = predict(
        members,
        images,
        Wanted(
            out=options.out,
            device=options.device,
            batch=options.batch or evaluation.batch_size,
            threads=options.threads,
            flips=options.flips,
            overlays=options.overlays,
            replace=options.replace,
        ),
        refused,
        references,
        _say,
    )
    sys.stdout.write(outcome.as_text(options.out))
    return int(bool(outcome.refused))
