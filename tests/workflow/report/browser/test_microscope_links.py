"""Addresses of the image browser: whatever an id holds comes back out of them."""

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from workflow.report.browser.links import case_link


def decoded(address):
    """What the page's script reads, by the rules of URLSearchParams: a plus is a space."""
    parts = urlsplit(f"file:///report/{address}")
    assert parts.path == "/report/images.html"
    assert parts.query == ""
    return dict(parse_qsl(parts.fragment, keep_blank_values=True, strict_parsing=True))


@given(st.text(), st.text(), st.text(), st.integers(0, 10**6))
def test_a_link_says_what_it_was_made_of(dataset, image, method, seed):
    address = case_link(dataset, image, method, seed)
    assert decoded(address) == {"d": dataset, "i": image, "m": method, "s": str(seed)}
    assert address.isascii()
    assert not set(address) & set(" \"'<>`{}\\")


def test_what_is_not_given_is_left_to_the_page():
    assert case_link("skin") == "images.html#d=skin"
    assert decoded(case_link("skin", method="vit", seed=0)) == {"d": "skin", "m": "vit", "s": "0"}
