"""Files appear whole or not at all."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from workflow.base.files import read_json, replacing, sha256, write_json, write_text


def test_a_new_file_and_its_folders_appear(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "übung\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "übung\n".encode()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.txt"]


def test_nothing_is_seen_before_the_end(tmp_path):
    target = tmp_path / "table.csv"
    with replacing(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text() == "half"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_writer_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail():
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_writer_that_wrote_nothing_is_an_error(tmp_path):
    (tmp_path / "kept").write_text("old")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "kept"):
        pass
    assert (tmp_path / "kept").read_text() == "old"


def test_a_killed_writer_leaves_the_old_file(tmp_path, repo):
    target = tmp_path / "weights.bin"
    target.write_text("old")
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from workflow.base.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(repo)}
    ended = subprocess.run(
        [sys.executable, "-c", program, str(target)], check=False, env=environment
    )
    assert ended.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


@pytest.mark.parametrize("name", ["masks.npz", "figure_5.pdf", "index.parquet"])
def test_the_suffix_is_kept_because_writers_choose_the_format_by_it(tmp_path, name):
    target = tmp_path / name
    with replacing(target) as temporary:
        assert temporary.suffix == target.suffix
        assert temporary.name.startswith(".")
        temporary.touch()


def test_numpy_does_not_add_a_second_suffix(tmp_path):
    with replacing(tmp_path / "masks.npz") as temporary:
        np.savez_compressed(temporary, masks=np.arange(3))
    assert [path.name for path in tmp_path.iterdir()] == ["masks.npz"]
    assert np.load(tmp_path / "masks.npz")["masks"].tolist() == [0, 1, 2]


def test_json_comes_back_and_is_for_people(tmp_path):
    value = {"title": "512×1024", "seeds": [0, 1], "rate": 1e-4, "none": None}
    write_json(str(tmp_path / "run.json"), value)
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "run.json") == value == json.loads(text)
    assert "512×1024" in text
    assert text.endswith("}\n")


def test_sha256_of_the_standards_example(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "abc") == expected
