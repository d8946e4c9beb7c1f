"""What is pasted into a report of a problem: complete, and without private names."""

import json
from argparse import Namespace
from pathlib import Path

import pytest

from workflow.commands import doctor


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    doctor.run(Namespace())
    return capsys.readouterr().out


def test_it_tells_versions_device_and_that_nothing_has_run(
    at: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(capsys)
    assert [line for line in said.splitlines() if line.startswith("###")] == [
        "### Versions", "### Device", "### Presets",
    ]  # fmt: skip
    for part in ("torch 2", "snakemake 9", "commit ", "uv.lock: not here", "processors"):
        assert part in said
    assert "- nothing has run yet" in said
    assert str(at) not in said


@pytest.mark.parametrize("content", ["", "{", json.dumps({"preset": 1})])
def test_a_preset_that_cannot_be_read_is_told_and_ends_nothing(
    at: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (at / "results" / "mine").mkdir(parents=True)
    (at / "results" / "mine" / "config.json").write_text(content)
    assert "- mine: cannot be read: " in printed(capsys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("error: /data/patients/anna/oct.raw: truncated", "error: …/oct.raw: truncated"),
        ("see '/srv/a b/x'", "see '…/a b/x'"),
        ("results/demo/logs/train/x.log", "results/demo/logs/train/x.log"),
        ("half/half and 3/4 and ../up/there", "half/half and 3/4 and ../up/there"),
        ("https://example.org/a/b", "https://example.org/a/b"),
    ],
)
def test_folders_are_left_out_and_names_of_files_stay(text: str, said: str) -> None:
    assert doctor.without_names(text) == said


def test_user_host_home_and_the_folder_itself_are_left_out(
    at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "anna")
    monkeypatch.setattr("socket.gethostname", lambda: "node-7")
    text = f"anna on node-7: {at}/results/x and {Path.home()}/y, not annals or node-71"
    said = doctor.without_names(text)
    assert said == "<user> on <host>: ./results/x and ~/y, not annals or node-71"
