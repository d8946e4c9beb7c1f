"""A folder appears whole or not at all, and what a killed process left can be removed."""

import pytest

from workflow.base.folders import remove_leftovers, replacing_folder


@pytest.mark.parametrize("lone", [None, "making"])
def test_a_folder_is_replaced_as_a_whole(tmp_path, lone):
    final = tmp_path / "final"
    for text in ("old", "new"):
        with replacing_folder(final, lone) as folder:
            (folder / text).write_text(text)
    assert [file.name for file in final.iterdir()] == ["new"]
    with pytest.raises(IsADirectoryError), replacing_folder(final, lone) as folder:
        folder.write_text("no file")
    assert [file.name for file in final.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / ".final.making").mkdir()
    (tmp_path / ".final.making" / "half").write_text("")
    (tmp_path / ".final.old").mkdir()
    (tmp_path / ".other.making").mkdir()
    remove_leftovers(tmp_path / "final", "making")
    assert [path.name for path in tmp_path.iterdir()] == [".other.making"]
