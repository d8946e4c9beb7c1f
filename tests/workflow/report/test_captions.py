"""Captions for Snakemake's own report: the text as it is, and nothing in it obeyed."""

import html
import re

from docutils.core import publish_parts
from hypothesis import given
from hypothesis import strategies as st

from tests.workflow.report.reporting_tree import small_config
from workflow.config.notices import DEMO
from workflow.report.captions import caption, escaped, figure_caption, table_caption

EVIL = (
    ".. raw:: html\n\n   <script>x</script> *a* `b`_ |c| :raw:`d` a_ __ [1]_ \\ http://e.f .. _g:"
)


def as_html(text):
    """The body that Snakemake makes of a caption."""
    return publish_parts(text, writer="html", settings_overrides={"report_level": 1})["body"]


def test_nothing_is_obeyed():
    body = as_html(escaped(EVIL))
    assert set(re.findall(r"</?(\w+)", body)) == {"p"}
    assert html.unescape(body) == f"<p>{' '.join(EVIL.split())}</p>\n"


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1))
def test_any_text_comes_out_as_it_went_in(text):
    flat = " ".join(text.split())
    body = as_html(f"x {escaped(text)} x")
    found = html.unescape(re.fullmatch(r"<p>(.*)</p>\n", body, re.DOTALL)[1])
    assert " ".join(found.split()) == " ".join(f"x {flat} x".split())


def test_captions_carry_their_warnings():
    config = small_config()
    for said in (table_caption(config, "IV"), figure_caption(config, "8")):
        assert as_html(said).startswith(f"<p><strong>{DEMO}</strong></p>")
    assert "<p>Lesions.</p>" in as_html(figure_caption(config, "8"))
    assert caption("a", ()) == "a"
