"""What is read is what was written, or one message says what is wrong with it."""

import errno
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.base import digests
from workflow.base.digests import (
    condition,
    digest_file,
    intact,
    read_recorded_csv,
    read_recorded_json,
    reading,
    record_folder,
    record_json,
    record_text,
    recorded,
    recorded_digests,
)
from workflow.base.errors import DataError


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    path.write_bytes(data)


def test_what_is_written_has_its_digest_beside_it_as_sha256sum_has_it(tmp_path):
    record_text(tmp_path / "split.csv", "id,split\n")
    line = digest_file(tmp_path / "split.csv").read_text()
    assert line.endswith("  split.csv\n")
    assert condition(tmp_path / "split.csv") == "good"
    checked = subprocess.run(["sha256sum", "--check", ".split.csv.sha256"], cwd=tmp_path)
    assert checked.returncode == 0


@given(bit=st.integers(0, 10**6), of_record=st.booleans())
def test_every_flipped_bit_is_noticed(tmp_path_factory, bit, of_record):
    file = tmp_path_factory.mktemp("flip") / "counts.parquet"
    with recorded(file) as temporary:
        temporary.write_bytes(b"counted" * 20)
    assert intact(file) == file
    digests._seen.clear()  # as in another process, where the time of change says nothing
    flip(digest_file(file) if of_record else file, bit)
    assert condition(file) == "damaged"
    with pytest.raises(DataError, match=r"counts\.parquet: damaged \(its content is not what was"):
        intact(file)


def test_the_message_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record_json(Path("run.json"), {"seed": 0})
    flip(Path("run.json"), 30)
    with pytest.raises(DataError) as error:
        read_recorded_json(Path("run.json"))
    assert str(error.value) == (
        "run.json: damaged (its content is not what was written, by .run.json.sha256). Delete it: "
        "your snakemake command with `-- run.json` at its end makes it again"
    )


def test_what_is_not_there_is_said_so(tmp_path):
    with pytest.raises(DataError, match=r"run\.json: not there: your snakemake command with `--"):
        intact(tmp_path / "run.json")
    assert condition(tmp_path / "run.json") == "missing"


def test_a_file_without_a_digest_is_read_as_it_is(tmp_path):
    (tmp_path / "run.json").write_text('{"seed": 0}')
    assert condition(tmp_path / "run.json") == "unknown"
    assert read_recorded_json(tmp_path / "run.json") == {"seed": 0}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"seed": 0}}'])
def test_one_that_cannot_be_read_has_the_same_message(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(DataError, match=r"run\.json: damaged \(cannot be read: .+Delete it: your"):
        read_recorded_json(tmp_path / "run.json")


def test_a_table_that_is_text_is_read_too(tmp_path):
    record_text(tmp_path / "history.csv", "epoch,loss\n1,0.5\n")
    assert read_recorded_csv(tmp_path / "history.csv") == [{"epoch": "1", "loss": "0.5"}]


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.ENOSPC, errno.EMFILE])
def test_a_lack_of_memory_or_disk_is_no_damage(tmp_path, number):
    record_text(tmp_path / "a", "a")
    with pytest.raises(OSError, match="lack"), reading(tmp_path / "a"):
        raise OSError(number, "lack")
    with pytest.raises(MemoryError), reading(tmp_path / "a"):
        raise MemoryError


def test_a_file_that_is_being_replaced_is_not_damaged(tmp_path, monkeypatch):
    record_text(tmp_path / "a", "old")
    answers = iter(["damaged", "good"])
    monkeypatch.setattr(digests, "condition", lambda _: next(answers))
    assert intact(tmp_path / "a") == tmp_path / "a"


def test_a_writer_that_dies_leaves_no_digest_of_another_content(tmp_path, monkeypatch):
    record_text(tmp_path / "a", "old")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(digests, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        record_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert condition(tmp_path / "a") == "unknown"


def test_a_folder_has_one_list(tmp_path):
    pages = tmp_path / "report"
    (pages / "runs").mkdir(parents=True)
    (pages / "index.html").write_text("index")
    (pages / "runs" / "a.html").write_text("a")
    record_folder(pages)
    listed = recorded_digests(pages)
    assert {file.relative_to(pages).as_posix() for file in listed} == {"index.html", "runs/a.html"}
    assert {condition(*entry) for entry in listed.items()} == {"good"}
    flip(pages / "index.html", 3)
    (pages / "runs" / "a.html").unlink()
    assert [condition(*entry) for entry in listed.items()] == ["damaged", "missing"]
    assert recorded_digests(tmp_path / "nothing") == {}
