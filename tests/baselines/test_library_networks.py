"""What is special to the six compared methods from libraries: their options and regularisation.

What holds for every method is in the contract tests, their counts in the anchors.
"""

import pytest
import torch
from torch import nn

from baselines import deeplabv3plus, efficientnet, inceptionv3, swint, unetpp, vit
from tests.baselines.methods import as_torch_draws

MODULES = {
    module.__name__.removeprefix("baselines."): module
    for module in (unetpp, deeplabv3plus, inceptionv3, efficientnet, vit, swint)
}
SEGMENTERS = ("unetpp", "deeplabv3plus")
NAMES = pytest.mark.parametrize("name", MODULES)


def make(name, *, image_size=96, n_seg=2, n_cls=3, **options):
    build = MODULES[name].build
    return build(image_size=image_size, n_seg=n_seg, n_cls=n_cls, **options)


@NAMES
def test_the_task_that_the_method_does_is_required_and_the_other_ignored(name):
    own, other = ("n_seg", "n_cls") if name in SEGMENTERS else ("n_cls", "n_seg")
    for wrong in (None, 0):
        with pytest.raises(ValueError, match=f"{name}: {own} is {wrong}; .* needs 1 or more"):
            make(name, **{own: wrong})
    with torch.device("meta"):
        with_other, without = make(name, **{other: 7}), make(name, **{other: None})
    assert with_other.state_dict().keys() == without.state_dict().keys()


@NAMES
def test_unknown_options_are_refused(name):
    with pytest.raises(TypeError, match="depth"):
        make(name, depth=3)
    key = "encoder" if name in SEGMENTERS else "variant"
    if name != "inceptionv3":
        with pytest.raises(ValueError, match=f"{name}: {key} is 'huge'; choose one of "):
            make(name, **{key: "huge"})


def test_an_output_stride_without_a_network_is_refused():
    with pytest.raises(ValueError, match="output_stride is 4; choose one of 16, 8"):
        make("deeplabv3plus", output_stride=4)


def test_dilations_are_those_asked_for():
    def dilations(**options):
        with torch.device("meta"):
            network = make("deeplabv3plus", **options)
        pyramid = network.network.decoder.aspp
        return [m.dilation[0] for m in pyramid.modules() if is_dilated(m)]

    def is_dilated(module):
        return isinstance(module, nn.Conv2d) and module.dilation[0] > 1

    assert dilations() == [6, 12, 18]
    assert dilations(atrous_rates=(2, 3, 4)) == [2, 3, 4]


def test_regularisation_is_the_documented_one():
    with torch.device("meta"):
        assert make("inceptionv3").network.head_drop.p == 0.5
        assert make("inceptionv3", drop_rate=0.1).network.head_drop.p == 0.1
        net = make("efficientnet").network
        assert net.drop_rate == 0.3
        assert max(drop_paths(net)) == pytest.approx(0.2, abs=0.02)
        assert max(drop_paths(make("swint").network)) == pytest.approx(0.1)
        assert not drop_paths(make("vit").network)


@pytest.mark.parametrize("name", ["inceptionv3", "efficientnet"])
def test_the_last_layer_has_torch_s_default_where_the_library_s_is_too_large(name):
    torch.manual_seed(0)
    (head,) = as_torch_draws(make(name).network.get_classifier())
    assert head.out_features == 3


def drop_paths(network):
    return [m.drop_prob for m in network.modules() if type(m).__name__ == "DropPath"]
