"""What every method of config.yaml keeps to: its signature, its sizes, the shapes it returns."""

import importlib
import inspect

import pytest
import torch

from resformer.prediction import Prediction
from tests.baselines.methods import CONFIG, METHODS, N_CLS, N_SEG, build, size_at_least

EVERY_METHOD = pytest.mark.parametrize("name", METHODS)


def shapes(prediction):
    return [None if x is None else tuple(x.shape) for x in prediction[:2]]


def expected(name, batch, height, width):
    tasks = CONFIG.methods[name].tasks
    return [
        (batch, N_SEG + 1, height, width) if "segmentation" in tasks else None,
        (batch, N_CLS) if "classification" in tasks else None,
    ]


@EVERY_METHOD
def test_build_takes_keywords_with_types_and_defaults(name):
    module = importlib.import_module(CONFIG.methods[name].module)
    arguments = dict(inspect.signature(module.build).parameters)
    for needed in ("image_size", "n_seg", "n_cls"):
        assert arguments.pop(needed).default is inspect.Parameter.empty
    for option in arguments.values():
        assert option.kind is inspect.Parameter.KEYWORD_ONLY
        assert option.default is not inspect.Parameter.empty
        assert option.annotation is not inspect.Parameter.empty


@EVERY_METHOD
@pytest.mark.parametrize(
    ("size", "training"),
    [("minimum", True), ("minimum", False), (96, True), (128, False), (224, False), (512, False)],
)
def test_shapes_at_every_size(name, size, training):
    size = CONFIG.methods[name].sizes.minimum if size == "minimum" else size
    assert size == size_at_least(name, size), "a size of the data sets must do for every method"
    with torch.device("meta"):
        prediction = build(name, size).train(training)(torch.empty(2, 3, size, size))
    assert isinstance(prediction, Prediction)
    assert shapes(prediction) == expected(name, 2, size, size)
    assert not (prediction.auxiliary and not training)


@EVERY_METHOD
def test_oblong_images_work_or_are_refused_in_words(name):
    with torch.device("meta"):
        network, image = build(name, 128).eval(), torch.empty(1, 3, 128, 192)
        said = refusal(network, image)
        if said is None:
            assert shapes(network(image)) == expected(name, 1, 128, 192)
        else:
            assert "128×192 pixels does not fit a network built for 128×128" in said


def refusal(network, image):
    """What a network says of an image that it refuses; None if it takes it."""
    try:
        network(image)
    except ValueError as error:
        return str(error)
    return None


@EVERY_METHOD
def test_a_wrong_size_is_refused_with_the_sizes_that_work(name):
    sizes = CONFIG.methods[name].sizes
    wrong = [sizes.minimum - sizes.multiple_of]
    if sizes.multiple_of > 1:
        wrong.append(sizes.minimum + sizes.multiple_of // 2)
    for size in filter(None, wrong):
        with pytest.raises(ValueError, match=rf"{size}×{size} pixels does not work.*at least \d+"):
            build(name, size)


@EVERY_METHOD
def test_a_wrong_size_of_an_image_is_refused_too(name):
    with torch.device("meta"):
        network = build(name, 128)
    # Sides of one pixel fit no network.
    with pytest.raises(ValueError, match=r"1×1 pixels does not"):
        network(torch.empty(2, 3, 1, 1, device="meta"))


@EVERY_METHOD
def test_one_channel_more_for_a_lesion_and_one_row_more_for_a_label(name):
    entry = CONFIG.methods[name]
    module = importlib.import_module(entry.module)
    with torch.device("meta"):
        network = module.build(
            image_size=96,
            n_seg=5 if "segmentation" in entry.tasks else None,
            n_cls=7 if "classification" in entry.tasks else None,
            **entry.network_options,
        ).eval()
        prediction = network(torch.empty(1, 3, 96, 96))
    assert prediction.segmentation is None or prediction.segmentation.shape[1] == 6
    assert prediction.classification is None or prediction.classification.shape[1] == 7


@EVERY_METHOD
def test_a_task_that_a_method_does_needs_outputs(name):
    entry = CONFIG.methods[name]
    module = importlib.import_module(entry.module)
    none = {
        "n_seg": 0 if "segmentation" in entry.tasks else None,
        "n_cls": 0 if "classification" in entry.tasks else None,
    }
    with pytest.raises(ValueError, match=r"n_seg|n_cls"):
        module.build(image_size=96, **none, **entry.network_options)
