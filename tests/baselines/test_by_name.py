"""Networks by the names that somebody uses who has no configuration."""

import ast
import inspect

import pytest
import torch

import baselines
import resformer
from tests.baselines.methods import CONFIG


def test_the_names_are_the_methods_of_the_configuration():
    modules = {str(entry.module) for entry in CONFIG.methods.values()}
    named = {name.partition(".")[2] for name in modules if name.startswith("baselines.")}
    assert set(baselines.names()) == named
    assert baselines.names() == sorted(baselines.names())


@pytest.mark.parametrize(
    ("name", "lesions", "labels"),
    [("unetpp", 2, None), ("octnet", None, 3), ("gende", 1, 3)],
)
def test_a_method_is_made_by_its_name_with_the_outputs_asked_for(name, lesions, labels):
    network = baselines.create(name, image_size=64, lesions=lesions, labels=labels).eval()
    with torch.inference_mode():
        found = network(torch.rand(1, 3, 64, 64))
    assert isinstance(found, resformer.Prediction)
    assert (found.segmentation is None) == (lesions is None)
    assert (found.classification is None) == (labels is None)
    if lesions:
        assert found.segmentation.shape == (1, lesions + 1, 64, 64)
    if labels:
        assert found.classification.shape == (1, labels)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("unet", {"lesions": 1}, "no method 'unet'; did you mean 'unetpp'"),
        ("unetpp", {"lesions": 1, "labels": 3}, "does not classify; leave out labels=3"),
        ("octnet", {"lesions": 1, "labels": 3}, "does not segment; leave out lesions=1"),
        ("unetpp", {}, "n_seg is None; this method needs 1 or more"),
        ("unetpp", {"lesions": 1, "image_size": 65}, "multiples of 32"),
        ("unetpp", {"lesions": 1, "depth": 3}, "unexpected keyword argument 'depth'"),
    ],
)
def test_what_a_method_does_not_do_is_refused(name, arguments, said):
    with pytest.raises(ValueError, match=said):
        baselines.create(name, **{"image_size": 64, **arguments})


def test_resformer_is_made_in_both_designs_and_of_one_task():
    network = resformer.create("parallel", image_size=64, lesions=1, labels=3)
    assert isinstance(network, resformer.ResFormer)
    assert resformer.create(image_size=64, labels=3).segmentation is None
    with pytest.raises(ValueError, match="choose one of sequential, parallel"):
        resformer.create("both", image_size=64, lesions=1)
    with pytest.raises(ValueError, match="unexpected keyword argument 'depth'"):
        resformer.create(image_size=64, lesions=1, depth=3)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = resformer.nothing


def test_what_the_packages_offer_is_listed_and_typed():
    for package in (resformer, baselines):
        assert set(package.__all__) <= set(dir(package))
    for function in (resformer.create, resformer.load, baselines.create, baselines.names):
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Parameter.empty
        assert function.__doc__
    tree = ast.parse(inspect.getsource(resformer))
    typed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(resformer.__all__) <= typed
