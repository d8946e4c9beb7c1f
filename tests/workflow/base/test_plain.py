"""Text that acts on its reader is found, and shown as numbers; all else stays as it is."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.base.files import csv_text, from_cell, read_csv, to_cell
from workflow.base.markdown import escaped
from workflow.base.plain import PlainStream, hidden, plain, plain_streams
from workflow.report.captions import escaped as restructured
from workflow.tables.latex import escape

ACTING = {
    "a\x1b[2Jb": r"a\x1b[2Jb",
    "\x00": r"\x00",
    "\x7f\x9b": r"\x7f\x9b",
    "line\rover": r"line\x0dover",
    "\u202egnp.exe": r"\u202egnp.exe",
    "\u2028\ufeff": r"\u2028\ufeff",
    "\ud800": r"\ud800",
}


@pytest.mark.parametrize(("text", "shown"), ACTING.items())
def test_what_acts_is_shown_as_its_number(text, shown):
    assert plain(text) == shown
    assert hidden(text) in shown


READ = ["", "a b\tc\nd", "naïve – “x” ± τ", "日本", "👩\u200d🔬", "a\\x1b"]


@pytest.mark.parametrize("text", READ)
def test_what_is_read_stays(text):
    assert plain(text) == text
    assert hidden(text) is None


@given(st.text())
def test_nothing_that_acts_is_left_in_any_format(text):
    for shown in (plain(text), escaped(text), escape(text), restructured(text), to_cell(text)):
        assert hidden(shown) is None
    assert plain(plain(text)) == plain(text)


def test_what_is_printed_is_plain_while_a_command_runs(capsys):
    before = sys.stdout
    with plain_streams():
        sys.stdout.write("a\x1b[2J\n")
        sys.stderr.writelines(["b\u202e\n"])
        sys.stdout.flush()
        assert sys.stdout.isatty() is False  # whatever else the stream has
    assert sys.stdout is before
    assert capsys.readouterr() == ("a\\x1b[2J\n", "b\\u202e\n")


def test_what_is_to_act_has_the_stream_itself():
    stream = io.StringIO()
    PlainStream(stream).acting.write("\x1b[2J")
    assert stream.getvalue() == "\x1b[2J"


FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "-rf", "=", "'=1", "''@x", "\tx", "- a", "--", "+a"]
NUMBERS = ["-1", "+2.5", "-0.5e-3", "-.5", "-5.", "1e9", "-"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_is_no_formula_to_a_spreadsheet(text):
    cell = to_cell(text)
    assert cell[0] not in "=+-@\t\r" or len(text) == 1
    assert from_cell(cell) == text


@pytest.mark.parametrize("value", [*NUMBERS, -1, -0.5, None, True, "'tis", "a=b", "−1"])
def test_numbers_and_other_texts_stay(value):
    assert to_cell(value) == value
    assert from_cell(value) == value


@given(st.text())
def test_a_cell_is_read_as_it_was_given(text):
    assert from_cell(to_cell(text)) == plain(text)


def test_a_file_of_cells_is_read_as_it_was_written(tmp_path):
    rows = [{"id": text, "value": number} for text, number in zip(FORMULAS, NUMBERS, strict=False)]
    file = tmp_path / "a.csv"
    file.write_text(csv_text(["id", "value"], rows))
    assert read_csv(file) == rows
