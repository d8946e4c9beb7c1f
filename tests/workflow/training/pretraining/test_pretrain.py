"""The whole stage on small data: what it writes and never reads, and how a run starts from it."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.workflow.training.pretraining import small_network
from workflow.base.digests import record_json, record_text
from workflow.base.errors import ConfigError, DataError
from workflow.base.files import read_json, remove_tree, sha256
from workflow.config import paths
from workflow.networks.tensors import write_tensors
from workflow.running import fingerprint
from workflow.training.pretraining import pretrain as pretraining
from workflow.training.pretraining.pretrain import pretrain_seeds
from workflow.training.pretraining.search import Losses, objective
from workflow.training.pretraining.superpixels import write_superpixels
from workflow.training.pretraining.weights import load_pretraining
from workflow.training.train import train_seeds

RUN = ("isic2017", "autosmim")


def pretrain(config, *seeds, anew=True):
    """Pretrain seeds, from what an earlier call left of them only if `anew` is off."""
    if anew:
        remove_tree(config.results / "state")
    for count in config.methods["autosmim"].pretraining.superpixels:
        write_superpixels(config, *RUN, str(count))
    pretrain_seeds(config, *RUN, *seeds)
    return [paths.pretraining(config, *RUN, seed) for seed in seeds]


@pytest.fixture
def folder(pretraining_config):
    return pretrain(pretraining_config, "0")[0]


def record_of(folder):
    return {k: v for k, v in read_json(folder / "policy.json").items() if k != "seconds"}


def test_policy_json_tells_all_of_it(folder, pretraining_config):
    record = read_json(folder / "policy.json")
    settings = pretraining_config.methods["autosmim"].pretraining
    assert record["weights_sha256"] == sha256(folder / "weights.safetensors")
    assert record["budget"] == settings.model_dump(mode="json")
    assert record["images"] == {"training": 10, "held_out": 2, "search": 2}
    assert record["fingerprint"] == fingerprint.pretraining_fingerprint(pretraining_config, *RUN)
    assert record["seconds"] > 0
    assert (record["dataset"], record["method"], record["seed"]) == (*RUN, 0)
    base = record["base"]
    assert (base["superpixels"], base["masked"], base["ratio"]) == (9, 3, 3 / 9)
    assert len(record["trials"]) == 4
    for trial in record["trials"]:
        assert trial["superpixels"] in settings.superpixels
        assert trial["ratio"] == trial["masked"] / trial["superpixels"] <= 0.5
        assert trial["objective"] == pytest.approx(
            objective(
                Losses(trial["inpainting"], trial["proxy"]),
                Losses(base["inpainting"], base["proxy"]),
            )
        )
    lowest = min(record["trials"], key=lambda trial: trial["objective"])
    assert record["policy"] == {k: lowest[k] for k in ("superpixels", "masked", "ratio")}
    assert {k: len(v) for k, v in record["validation_losses"].items()} == {
        "base": 2, "proxy": 2, "final": 2,
    }  # fmt: skip


def test_the_network_is_trained_again_with_the_best_policy(pretraining_config, monkeypatch):
    policies, train = [], pretraining.train_inpainting

    def watched(build, masking, policy, *rest):
        policies.append({"superpixels": policy.superpixels, "masked": policy.masked})
        return train(build, masking, policy, *rest)

    monkeypatch.setattr(pretraining, "train_inpainting", watched)
    (folder,) = pretrain(pretraining_config, "0")
    found = read_json(folder / "policy.json")["policy"]
    del found["ratio"]
    assert policies == [{"superpixels": 9, "masked": 3}, found]
    assert policies[0] != policies[1]


def test_same_seed_same_bits_alone_or_in_a_pack(folder, pretraining_config):
    alone = sha256(folder / "weights.safetensors"), record_of(folder)
    other, again = pretrain(pretraining_config, "1", "0")
    assert (sha256(again / "weights.safetensors"), record_of(again)) == alone
    assert sha256(other / "weights.safetensors") != alone[0]


def test_fewer_images_take_part_where_they_are_limited(pretraining_config, limited):
    (folder,) = pretrain(limited(6), "0")
    images = read_json(folder / "policy.json")["images"]
    assert images == {"training": 5, "held_out": 1, "search": 1}


def test_other_splits_masks_and_labels_decide_nothing(folder, pretraining_config, tmp_path):
    """The same bits where there are no other splits, and masks and labels are all wrong."""
    before = sha256(folder / "weights.safetensors"), record_of(folder)
    prepared = paths.prepared(pretraining_config, "isic2017")
    kept = tmp_path / "kept"
    shutil.copytree(prepared / "train", kept)
    (tmp_path / pretraining_config.results / "data").unlink()
    shutil.copytree(kept, prepared / "train")
    record_text(prepared / "identity.txt", "other data")
    for name in ("masks", "labels"):
        array = np.load(prepared / "train" / f"{name}.npy")
        np.save(prepared / "train" / f"{name}.npy", 1 - array)
    (again,) = pretrain(pretraining_config, "0")
    assert (sha256(again / "weights.safetensors"), record_of(again)) == before


def segmenter():
    return small_network.build(image_size=32, n_seg=1, n_cls=None)


def test_all_but_the_head_starts_from_the_pretraining(folder):
    model = segmenter()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    facts = load_pretraining(model, folder / "weights.safetensors")
    head = ["network.head.weight", "network.head.bias"]
    assert facts == {
        "kind": "pretraining",
        "source": str(folder / "weights.safetensors"),
        "sha256": sha256(folder / "weights.safetensors"),
        "matched": len(before) - 2,
        "tensors": len(before),
        "left_random": head,
        "policy": read_json(folder / "policy.json")["policy"],
    }
    given = load_file(folder / "weights.safetensors")
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name] if name in head else given[name])


def test_other_weights_than_the_policy_speaks_of_are_refused(folder):
    weights = load_file(folder / "weights.safetensors")
    weights["network.encoder.0.bias"] += 1
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(DataError, match=r"its SHA-256 is .* and policy.json beside it says"):
        load_pretraining(segmenter(), folder / "weights.safetensors")


def test_weights_of_another_network_are_refused(folder):
    file, policy = folder / "weights.safetensors", read_json(folder / "policy.json")
    write_tensors(file, {"network.encoder.0.bias": torch.zeros(5)})
    policy["weights_sha256"] = sha256(file)
    record_json(file.with_name("policy.json"), policy)
    with pytest.raises(DataError, match=r"1 of its tensors do not fit .* network.encoder.0.bias"):
        load_pretraining(segmenter(), file)


def test_a_run_starts_from_the_pretraining_of_its_seed(pretraining_config):
    folders = pretrain(pretraining_config, "0", "1")
    train_seeds(pretraining_config, *RUN, "0", "1")
    for seed, folder in enumerate(folders):
        record = read_json(paths.run(pretraining_config, *RUN, seed) / "run.json")
        assert record["initialisation"]["kind"] == "pretraining"
        assert record["initialisation"]["sha256"] == sha256(folder / "weights.safetensors")


def test_a_module_without_an_inpainting_network_is_named(pretraining_config, monkeypatch):
    for count in (4, 9, 16):
        write_superpixels(pretraining_config, *RUN, str(count))
    monkeypatch.delattr(small_network, "build_inpainting")
    message = r"methods.autosmim.pretraining: tests.*small_network has no build_inpainting\(\)"
    with pytest.raises(ConfigError, match=message):
        pretrain_seeds(pretraining_config, *RUN, "0")
