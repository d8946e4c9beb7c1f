"""The overview: what was run, failures first, the paper at a glance, where methods differ."""

import re
from types import SimpleNamespace

import pytest

from tests.workflow.report.failed_runs import fail
from tests.workflow.report.report_pages import read_pages
from tests.workflow.report.reporting_tree import small_config, small_raw, write_run, write_tree
from workflow.config import paths
from workflow.config.cells import Run, runs
from workflow.figures.make_plot import make_plot
from workflow.figures.plots import made_plots
from workflow.report.overview import (
    by_family,
    decided_claims,
    hardware,
    told_apart,
    undecided_claims,
)
from workflow.report.site import build_report
from workflow.results.read import read_results
from workflow.results.records import RunRecord, SeedRecord


def built(config):
    build_report(config, read_results(config, runs(config)))
    return read_pages(paths.report(config))


def said(page):
    return " ".join(page.text.split())


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("overview"))
        config = small_config()
        write_tree(config, missing={("isic2017", "vit", 1)})
        fail(config, "retouch_cirrus", "resformer_par", 1)
        for key in ("published", "ranking"):
            make_plot(config, key)
        yield built(config)


def test_failures_come_before_what_is_missing_and_before_results(pages):
    text = said(pages["index.html"])
    assert "Missing or in doubt: 11, of which failed: 1" in text
    failed = text.index("ResFormer (parallel) on Cirrus, seed 1: failed: the loss is not finite")
    missing = text.index("ViT on ISIC 2017, seed 1: no finished training run")
    assert failed < missing < text.index("What was run") < text.index("What it says of the paper")


def test_it_says_what_was_run(pages):
    text = said(pages["index.html"])
    assert "Preset everything" in text
    assert (
        "multi-task: ResFormer (sequential), ResFormer (parallel); segmentation only: UNet++"
        in text
    )
    assert "Hardware a processor, float32 (13 runs, 6.5 h)" in text
    assert "13 of 14" not in text, "one of those that were trained failed"


def test_the_plot_of_printed_values_is_on_it(pages):
    page = pages["index.html"]
    assert "figures/published.png" in page.loads
    assert "figures.html#plot-published" in page.links
    alts = [image["alt"] for image in page.images]
    wanted = "This run against the paper: 2 methods on ISIC 2017, Cirrus."
    assert any(alt.startswith(wanted) for alt in alts), alts


def test_it_leads_to_the_images_on_which_methods_differ(pages):
    page = pages["index.html"]
    text = said(page)
    assert "images.html#d=retouch_cirrus" in page.links
    assert "images.html#d=isic2017" in page.links
    assert "Where methods disagree" in text
    assert re.search(r": significant differences in \d+ of \d+ columns", text)
    assert "figures.html#plot-ranking" in page.links


def test_larger_figures_follow_those_of_the_paper(pages):
    page = pages["figures.html"]
    text = said(page)
    order = [text.index(words) for words in ("Figure 5. ", "Figure 8. ", "Larger figures")]
    assert order == sorted(order)
    for key in made_plots(small_config()):
        assert f"plot-{key}" in page.ids
        made = key in ("published", "ranking")
        for suffix in ("png", "pdf"):
            assert (f"figures/{key}.{suffix}" in page.links) is made, key
    assert text.count("missing: this picture was not made") == 2 + 9 - 2
    assert "Figure “Calibration”: the picture was not made" in said(pages["index.html"])


def test_claims_that_hold_or_do_not_are_told_where_data_are_real(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_config(data={**small_raw()["data"], "origin": "local"}, preset="paper")
    write_tree(config)
    page = built(config)["index.html"]
    text = said(page)
    assert "claims are left open" in text
    assert text.index("claims are left open") < text.index("the audit finds")
    assert "no verdict is passed" not in text
    assert "verdicts.html#claims" in page.links


def test_claims_are_told_by_their_verdicts():
    words = ["holds", "does not hold", "not resolvable", "not testable", "holds"]
    words += ["direction holds, size differs", "direction holds, size open"]
    claims = [SimpleNamespace(verdict=word, number=i) for i, word in enumerate(words)]
    decided = decided_claims(claims)
    assert {word: [one.number for one in of] for word, of in decided.items()} == {
        "holds": [0, 4],
        "direction holds, size differs": [5],
        "does not hold": [1],
    }
    assert undecided_claims(claims) == 3
    demo = [SimpleNamespace(verdict="demo")] * 3
    assert not any(decided_claims(demo).values())
    assert undecided_claims(demo) == 0


def test_hardware_adds_up_by_machine():
    def seed(**facts):
        return SeedRecord(0, facts, {}, "")

    big = {"device": "an accelerator", "driver": "5", "precision": "bf16"}
    records = [
        RunRecord(Run("a", "b"), (seed(device="a processor", wall_seconds=60.0), seed()), ()),
        RunRecord(Run("a", "c"), (seed(**big, wall_seconds=7200.0), seed(**big)), ()),
    ]
    assert hardware(records) == [
        "an accelerator, driver 5, bf16 (2 runs, 2.0 h)",
        "a processor (1 run, 60 s)",
    ]
    assert hardware([]) == []


def test_methods_are_listed_by_family():
    config = small_config()
    assert by_family(config, ["vit", "unetpp", "vit"]) == {
        "segmentation only": ["UNet++"],
        "classification only": ["ViT"],
    }


def test_only_what_was_tested_is_counted():
    config = small_config()
    found = told_apart(config, ["isic2017"], [])
    assert [(one.title, one.images, one.columns) for one in found] == [
        ("ISIC 2017", "images.html#d=isic2017", 0)
    ]


def test_a_run_without_a_device_is_no_hardware(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_config()
    write_run(config, "isic2017", "vit", 0, device=None)
    assert "Hardware not recorded" in said(built(config)["index.html"])
