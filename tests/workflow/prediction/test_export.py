"""A run is carried away as one file: the library reads it alone, and prediction needs no more."""

import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import resformer
from resformer.trained import KEY, MixedLabels, TrainedFile, read_about, save
from tests.workflow.prediction.conftest import METHOD
from tests.workspace import ROOT
from workflow.__main__ import main
from workflow.base.errors import ConfigError, DataError
from workflow.networks.conditional import ConditionalLabels
from workflow.prediction.members import find_members
from workflow.prediction.onnx_file import NEEDED, write_onnx


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The file of a run, in a folder of its own."""
    file = tmp_path_factory.mktemp("carried") / "network.safetensors"
    words = [str(trained.root / trained.config.results), "isic2017", METHOD, str(file)]
    assert main(["export", *words, "--seed", "1"]) == 0
    return file


def test_the_file_says_what_it_is_of(exported, trained):
    about = read_about(exported)
    assert (about.lesions, about.labels) == (
        ("lesion",),
        ("melanoma", "seborrheic_keratosis", "nevus"),
    )
    assert about.preparation.image_size == 32
    assert about.preparation.flips == ("horizontal", "vertical")
    assert about.options == {"mode": "sequential", "conv_depths": [1, 1, 1, 1]}
    assert about.card["seed"] == 1
    assert about.card["provenance"]["data_hash"] == "1" * 64
    assert set(about.card["data"]) == {"train", "val", "test"}
    scores = {score["metric"]: score for score in about.card["scores"]}
    assert {"ji", "dsc", "acc", "sen", "spe", "auc"} <= set(scores)
    assert scores["dsc"]["interval"][0] <= scores["dsc"]["value"] <= scores["dsc"]["interval"][1]
    weights = load_file(trained.run("isic2017", 1) / "weights.safetensors")
    carried = load_file(exported)
    assert weights.keys() == carried.keys()
    assert all(torch.equal(weights[name], carried[name]) for name in weights)


def test_the_card_says_for_people_what_the_file_says(exported):
    text = exported.with_suffix(".md").read_text()
    assert "Not for clinical use" in text
    assert "demo: phantom data, not comparable with the paper" in text
    assert "| JI (%) |" in text
    assert "Mean of 2 seeds" in text
    assert "resformer predict network.safetensors IMAGES" in text


def test_the_lines_of_the_card_run_and_give_what_evaluation_saw(exported, trained, tmp_path):
    """In a folder without the workflow, as somebody does who was given the file."""
    (code,) = [
        part.partition("```")[0]
        for part in exported.with_suffix(".md").read_text().split("```python\n")[1:]
    ]
    shutil.copy(exported, tmp_path / exported.name)
    picture = np.load(trained.prepared("isic2017") / "test" / "images.npy")[0]
    Image.fromarray(picture).save(tmp_path / "image.png")
    ending = (
        "\nimport sys"
        "\nassert not [name for name in sys.modules if name.startswith('workflow')]"
        "\nnumpy.save('mask.npy', masks.argmax(1)[0].numpy())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + ending],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    saved = np.load(trained.evaluated("isic2017", 1) / "masks.npz")["masks"]
    assert np.array_equal(np.load(tmp_path / "mask.npy"), saved[0])


def test_an_exported_file_predicts_what_its_run_predicts(exported, trained, tmp_path):
    image = trained.raw("isic2017/**/*Test_v2_Data/*.jpg")[0]
    for name, run in (("file", exported), ("run", trained.run("isic2017", 1))):
        assert main(["predict", str(run), str(image), "--out", str(tmp_path / name)]) == 0
    one, other = (tmp_path / name for name in ("file", "run"))
    for file in ("predictions.csv", f"masks/{image.stem}.png"):
        assert (one / file).read_bytes() == (other / file).read_bytes()


def test_each_seed_has_a_file_of_its_own(trained, tmp_path, capsys):
    words = ["export", str(trained.run("retouch_spectralis").parent)]
    assert main([*words, str(tmp_path / "oct.safetensors")]) == 0
    written = sorted(file.name for file in tmp_path.iterdir())
    assert written == [f"oct-seed{k}.{suffix}" for k in (0, 1) for suffix in ("md", "safetensors")]
    assert "Phantom images that this project painted" in (tmp_path / "oct-seed0.md").read_text()
    members, _ = find_members([str(tmp_path / f"oct-seed{k}.safetensors") for k in (0, 1)])
    assert [member.name for member in members] == ["oct-seed0", "oct-seed1"]
    capsys.readouterr()
    assert main([*words, str(tmp_path / "oct.pt")]) == 2
    assert "ends with .safetensors" in capsys.readouterr().err


def test_what_is_no_exported_file_is_refused_and_no_pickle_is_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    pickled = tmp_path / "a.safetensors"
    pickled.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="are never loaded"):
        resformer.load(pickled)
    assert not (tmp_path / "sprung").exists()
    save_file({"a": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="weights alone, without what they are of"):
        resformer.load(tmp_path / "b.safetensors")
    with pytest.raises(DataError, match="weights alone"):
        find_members([str(tmp_path / "b.safetensors"), "x.png"])
    with pytest.raises(FileNotFoundError, match="no such file"):
        resformer.load(tmp_path / "c.safetensors")


def known(exported, **changed):
    """The metadata of an exported file with some of it changed, in a file beside it."""
    about = read_about(exported)
    values = {name: getattr(about, name) for name in TrainedFile.__dataclass_fields__} | changed
    file = exported.with_name("changed.safetensors")
    save(file, load_file(exported), TrainedFile(**values))
    return file


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"module": "subprocess"}, "outside of resformer and baselines"),
        ({"module": "resformer.nothing"}, "cannot be built here"),
        ({"options": {"mood": "parallel"}}, "unexpected keyword argument 'mood'"),
        ({"lesions": ("irf", "srf")}, "its weights do not fit"),
    ],
)
def test_a_file_whose_network_is_another_is_refused(exported, changed, said):
    with pytest.raises(ValueError, match=said):
        resformer.load(known(exported, **changed))


def test_a_file_of_a_later_version_says_so(exported, tmp_path):
    content = json.dumps({"version": 2})
    save_file({"a": torch.zeros(1)}, tmp_path / "new.safetensors", metadata={KEY: content})
    with pytest.raises(ValueError, match="version 2, and this code reads version 1"):
        read_about(tmp_path / "new.safetensors")


def test_labels_that_are_judged_by_each_other_are_in_library_and_workflow_the_same():
    class Fixed(torch.nn.Module):
        def forward(self, image):
            return resformer.Prediction(None, image)

    mixture = torch.tensor([[0.5, 0.2, 0.3], [0.4, 0.6, 0.1], [0.1, 0.2, 0.6]])
    workflows, librarys = ConditionalLabels(Fixed(), mixture), MixedLabels(Fixed(), 3)
    librarys.load_state_dict(workflows.state_dict())
    logits = torch.tensor([[-3.0, 0.2, 50.0], [1.0, -60.0, 2.0]])
    assert torch.equal(workflows(logits).classification, librarys(logits).classification)


@pytest.mark.skipif(
    not os.environ.get("RESFORMER_TEST_EVERYTHING")
    and any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="the extra `onnx` is not installed",
)
def test_onnxruntime_gives_the_logits_of_torch(exported, tmp_path):
    (member,), _ = find_members([str(exported)])
    assert write_onnx(member, tmp_path / "network.onnx") < 1e-4


def test_without_the_extra_it_says_what_to_install(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (member,), _ = find_members([str(exported)])
    with pytest.raises(ConfigError, match=r"resformer-reproduction\[onnx\]"):
        write_onnx(member, tmp_path / "network.onnx")
