"""Raw files made ready: archives unpacked and verified, everything hashed once and listed."""

import hashlib
import shutil

import pytest
import yaml

from workflow.base.errors import DataError
from workflow.base.files import read_json
from workflow.config import paths
from workflow.config.load import load_config
from workflow.data.listing import list_raw, recorded_sums
from workflow.data.phantom import write_isic2017
from workflow.running import raw_files


@pytest.fixture
def given(tmp_path, monkeypatch, repo):
    """Archives of a user's, in a folder that is only read, and a working folder beside it."""
    monkeypatch.delenv("ISIC2017_DIR", raising=False)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "workflow").symlink_to(repo / "workflow")
    monkeypatch.chdir(tmp_path / "work")
    write_isic2017(tmp_path / "mine", train=6, val=6, test=6, size=(48, 40), seed=5)
    return tmp_path / "mine"


def configured(repo, given, **data):
    data = {"isic2017_dir": str(given), "isic2017_record": None, **data}
    return load_config(repo / "config.yaml", {"preset": "paper", "data": data})


def record(tmp_path, files):
    file = tmp_path / "record.yaml"
    file.write_text(yaml.safe_dump({"files": files, "counts": {}}))
    return str(file)


def test_everything_is_listed_with_its_hash(repo, given):
    config = configured(repo, given)
    before = {f.name: f.read_bytes() for f in given.iterdir()}
    list_raw(config, "isic2017", say=lambda line: None)
    assert {f.name: f.read_bytes() for f in given.iterdir()} == before
    listing = read_json(paths.listing(config, "isic2017"))
    assert listing["source"] == "isic2017"
    roots = raw_files.raw_roots(config, "isic2017")
    for name, entry in listing["files"].items():
        label, _, path = name.partition("/")
        data = (roots[label] / path).read_bytes()
        assert entry == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    given_names = {name for name in listing["files"] if name.startswith("given/")}
    assert given_names == {f"given/{name}" for name in before}
    unpacked = [name for name in listing["files"] if name.endswith(".jpg")]
    assert len(unpacked) == 18
    assert all(name.startswith("unpacked/ISIC-2017_") for name in unpacked)


def test_listing_again_gives_the_same_bytes(repo, given):
    config = configured(repo, given)
    list_raw(config, "isic2017", say=lambda line: None)
    before = paths.listing(config, "isic2017").read_bytes()
    list_raw(config, "isic2017", say=lambda line: None)
    assert paths.listing(config, "isic2017").read_bytes() == before
    assert raw_files.state(config, "isic2017") == "new"


def test_folders_that_are_unpacked_already_are_taken_as_they_are(repo, given):
    for archive in given.glob("*.zip"):
        shutil.unpack_archive(archive, given)
    config = configured(repo, given)
    list_raw(config, "isic2017", say=lambda line: None)
    names = read_json(paths.listing(config, "isic2017"))["files"]
    assert not [name for name in names if name.startswith("unpacked/")]


def test_an_archive_that_is_not_the_one_on_record_is_refused(repo, given, tmp_path):
    name = "ISIC-2017_Training_Data.zip"
    found = hashlib.md5((given / name).read_bytes()).hexdigest()
    right = configured(repo, given, isic2017_record=record(tmp_path, {name: found}))
    list_raw(right, "isic2017", say=lambda line: None)
    wrong = configured(repo, given, isic2017_record=record(tmp_path, {name: "0" * 32}))
    with pytest.raises(DataError) as caught:
        list_raw(wrong, "isic2017", say=lambda line: None)
    assert f"{given / name}: found MD5 {found}, on record {'0' * 32}" in str(caught.value)
    assert "data.isic2017_record" in str(caught.value)


def test_sums_are_of_isic_2017_and_of_real_data_only(repo, given, tmp_path):
    config = configured(repo, given, isic2017_record=record(tmp_path, {"a.zip": "0" * 32}))
    assert recorded_sums(config, "isic2017") == {"a.zip": "0" * 32}
    assert recorded_sums(config, "retouch") == {}
    assert recorded_sums(configured(repo, given), "isic2017") == {}
    demo = load_config(repo / "config.yaml", {"preset": "everything"})
    assert recorded_sums(demo, "isic2017") == {}


@pytest.mark.parametrize("text", ["files: [", "counts: {}", ""])
def test_a_record_that_is_none_is_named(repo, given, tmp_path, text):
    file = tmp_path / "record.yaml"
    file.write_text(text)
    with pytest.raises(DataError, match=r"record.yaml: cannot be read as a record with `files`"):
        recorded_sums(configured(repo, given, isic2017_record=str(file)), "isic2017")


def test_a_folder_that_is_not_there_is_named_with_its_key(repo, given, tmp_path):
    config = configured(repo, tmp_path / "nothing")
    with pytest.raises(DataError, match=r"data.isic2017_dir: found .*nothing, which does not"):
        list_raw(config, "isic2017", say=lambda line: None)
    assert not paths.listing(config, "isic2017").exists()


def test_a_data_set_of_ones_own_is_listed_by_its_folders(repo, given, tmp_path):
    images = tmp_path / "pictures"
    images.mkdir()
    (images / "a.png").write_bytes(b"1")
    (tmp_path / "labels.csv").write_text("id,sick\na,1\n")
    own = {
        "title": "Own", "source": "folder", "image_size": 32, "lesions": ["spot"],
        "labels": ["sick"], "split": "kfold 1/3",
        "folder": {"images": str(images), "masks": None, "mask_values": [1],
                   "labels": str(tmp_path / "labels.csv"), "color": True},
    }  # fmt: skip
    config = load_config(repo / "config.yaml", {"preset": "paper", "datasets": {"own": own}})
    list_raw(config, "own", say=lambda line: None)
    assert list(read_json(paths.listing(config, "own"))["files"]) == ["images/a.png", "labels"]
    (tmp_path / "labels.csv").write_text("id,sick\na,0\n")
    assert raw_files.state(config, "own") != "new"
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"own.folder.labels: found .*labels.csv, which does"):
        list_raw(config, "own", say=lambda line: None)
