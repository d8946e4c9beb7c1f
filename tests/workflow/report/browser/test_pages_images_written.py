"""The image browser on data that the report wrote: masks, numbers, and ids that break out."""

import numpy as np
import pytest

from tests.workflow.report.browser.microscope_case import (
    EVIL,
    IDS,
    UNSCORED,
    case_config,
    saved_masks,
    write_case,
)
from tests.workflow.report.browsing import PIXELS, READY, build_report, chromium, visit
from workflow.config import paths
from workflow.config.cells import runs
from workflow.figures.overlays import class_colours
from workflow.report.browser.links import case_link
from workflow.results.read import read_results

__all__ = ["chromium"]  # a fixture

NOT_HIT = "() => window.hit === undefined && !document.querySelector('img[src=x]')"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A report with the masks of all seeds: its configuration, its folder, masks of seed 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("written"))
        config = case_config(report={"masks": "all"})
        write_case(config)
        build_report(config, read_results(config, runs(config)))
        masks = {
            method: saved_masks(config, "retouch_cirrus", method, 1)
            for method in ("unetpp", "resformer_par")
        }
        yield config, paths.report(config).absolute(), masks


def go(chromium, folder, *case):
    page, _, fragment = case_link(*case).partition("#")
    return visit(chromium, folder / page, fragment)


def test_the_page_paints_the_masks_of_other_seeds(chromium, written):
    config, folder, masks = written
    colours = class_colours(config.datasets["retouch_cirrus"].lesions)
    with go(chromium, folder, "retouch_cirrus", "test-007", "unetpp", 1) as opened:
        opened.page.wait_for_selector(READY)
        for method in ("unetpp", "resformer_par"):
            found = opened.page.locator(f"[data-method={method}] canvas").evaluate(PIXELS)
            mask = masks[method][7]
            wanted = np.zeros((*mask.shape, 4), np.uint8)
            for value, colour in enumerate(colours, start=1):
                wanted[mask == value] = (*colour, 255)
            assert wanted.any()
            assert np.array_equal(np.array(found, np.uint8).reshape(wanted.shape), wanted)
        assert opened.problems == []


@pytest.mark.parametrize("name", IDS)
def test_every_id_is_reached_by_its_link_and_is_text(chromium, written, name):
    _, folder, _ = written
    with go(chromium, folder, "isic2017", name, "unetpp", 1) as opened:
        opened.page.wait_for_selector(READY)
        assert opened.page.locator("#case-title").text_content() == name
        assert opened.page.locator("#trouble").is_hidden()
        assert EVIL in opened.page.locator("[data-method=unetpp]").inner_text()
        assert opened.page.evaluate(NOT_HIT)
        assert opened.problems == []


def test_what_has_no_masks_says_why(chromium, written):
    _, folder, _ = written
    with go(chromium, folder, "isic2017", "test-007", "unetpp", 0) as opened:
        opened.page.wait_for_selector(READY)
        panel = "[data-method={}]".format
        said = {key: opened.page.locator(panel(key)).inner_text() for key in ("unetpp", "vit")}
        assert "Seed 0 failed" in said["unetpp"]
        assert "labels whole images" in said["vit"]
        assert "demo: phantom data" in opened.page.locator("#notice").inner_text()
        assert opened.problems == []


def test_an_image_without_a_reference_has_no_dice(chromium, written):
    _, folder, _ = written
    case = ("retouch_cirrus", f"test-00{UNSCORED}", "unetpp", 0)
    with go(chromium, folder, *case) as opened:
        opened.page.wait_for_selector(READY)
        assert "IRF –" in opened.page.locator("[data-method=unetpp]").inner_text()
        assert opened.problems == []
