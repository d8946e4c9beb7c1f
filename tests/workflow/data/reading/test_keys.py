"""Names that are one name: what is normalised, and what counts as another spelling."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.data.reading import keys

SAME = [
    ("7", "7.0"), ("7", "07"), ("7", "+7"), ("7", "7e0"), ("100", "1e2"), ("7", "7."),
    ("7,0", "7"), ("P7", "p7"), ("P 7", "P7"), ("P07", "P7"), ("P-7", "P_7"), ("P–7", "P-7"),
    ("P７", "P7"), ("é", "e\u0301"), (" a ", "a"), ("a  b", "a b"), ("a\u00a0b", "a b"),
    ("STRASSE", "straße"), ("ﬁ", "fi"), ("scan 01", "scan1"), ("A-01", "a-1"),
]  # fmt: skip
OTHER = [
    ("7", "70"), ("7", "7.5"), ("1-2", "12"), ("1_2", "12"), ("P1", "P10"), ("P1", "Q1"),
    ("a b", "ab"), ("1.01", "1.1"), ("case 1 2", "case 12"), ("", "0"), ("-7", "7"),
    ("100", "1000"), ("é", "e"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_name_are_told(one, other):
    assert keys.same_name(one) == keys.same_name(other)
    assert keys.spelled_twice(["x", one, other]) == ([] if one == other else [one, other])


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_names_that_differ_are_not(one, other):
    assert keys.same_name(one) != keys.same_name(other)
    assert keys.spelled_twice([one, other]) == []


@given(st.text(max_size=12))
def test_what_cannot_be_seen_never_makes_another_name(name):
    tidy = keys.tidy(name)
    assert keys.tidy(f" {unicodedata.normalize('NFD', name)}\t") == tidy == keys.tidy(tidy)
    assert keys.same_name(f" {name} ") == keys.same_name(tidy)
    assert keys.alike(name.upper()) == keys.alike(name.upper().lower())


@given(st.integers(-(10**6), 10**6))
def test_a_number_is_the_same_however_it_is_written(number):
    spellings = {f"{number}", f"{number}.0", f"{number}.000", f"{float(number)!r}"}
    assert len({keys.same_name(text) for text in spellings}) == 1


def test_a_near_name_is_shown_with_what_cannot_be_seen():
    assert keys.nearest("a", ["b", "A.PNG"]) == (
        " (there is 'A.PNG', which is another spelling of it)"
    )
    assert keys.nearest("x", ["b"]) == ""
    assert keys.shown("e\u0301") == r"'e\u0301'"
    assert keys.side_by_side(["7", "7.0"]) == "'7' and '7.0'"
    assert keys.listed(["a\0", "b" * 300]).startswith("a?, bbb")
    assert keys.listed(["b" * 300]).endswith("b...")
