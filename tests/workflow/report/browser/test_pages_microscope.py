"""The image browser of a real report: it shows the masks that the runs saved, pixel for pixel."""

import numpy as np
import pytest

from tests.workflow.report.browsing import (
    PIXELS,
    READY,
    Report,
    build_small_report,
    chromium,
    visit,
)
from tests.workflow.report.reporting_tree import SIZE, small_config
from workflow.config import paths
from workflow.figures.overlays import ERROR_COLOURS, class_colours
from workflow.report.browser.cases import SAFE_CLASSES
from workflow.report.browser.links import case_link

__all__ = ["chromium"]  # a fixture

OCT = "retouch_cirrus"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("images"))
        config = small_config()
        build_small_report(config)
        yield Report(config, paths.report(config).absolute())


def pixels(page, selector):
    page.wait_for_selector(READY)
    found = page.locator(f"{selector} canvas").evaluate(PIXELS)
    return np.array(found, np.uint8).reshape(SIZE, SIZE, 4)


def painted(layers):
    image = np.zeros((SIZE, SIZE, 4), np.uint8)
    for where, colour in layers:
        image[where] = (*colour, 255)
    return image


def masks(report, method):
    """The reference and what a run said."""
    root = report.folder.parent.parent.parent
    with np.load(root / paths.evaluation(report.config, OCT, method, 0) / "masks.npz") as archive:
        said = archive["masks"]
    return np.load(root / paths.prepared(report.config, OCT) / "test" / "masks.npy"), said


@pytest.mark.parametrize("image", [4, 9])
@pytest.mark.parametrize("method", ["unetpp", "resformer_par"])
def test_the_page_shows_the_saved_masks(chromium, report, method, image):
    truth, said = (of_all[image] for of_all in masks(report, method))
    assert (truth != said).any()
    colours = class_colours(report.config.datasets[OCT].lesions)
    link = case_link(OCT, f"test-{image:03d}", method, 0)
    with visit(chromium, report.folder / "images.html", link.partition("#")[2]) as opened:
        page = opened.page
        for selector, mask in (("[data-kind=reference]", truth), (f"[data-method={method}]", said)):
            layers = [(mask == k, colour) for k, colour in enumerate(colours, 1)]
            assert np.array_equal(pixels(page, selector), painted(layers))
        page.keyboard.press("2")
        lesion = truth > 0
        hit = lesion & (said == truth)
        parts = (hit, lesion & ~hit, ~lesion & (said > 0))
        wanted = painted(zip(parts, ERROR_COLOURS.values(), strict=True))
        assert np.array_equal(pixels(page, f"[data-method={method}]"), wanted)
        assert opened.problems == []


def test_the_safe_colours_are_shown(chromium, report):
    truth = masks(report, "unetpp")[0][5]
    colours = [bytes.fromhex(colour[1:]) for colour in SAFE_CLASSES]
    said = f"d={OCT}&i=test-005&m=unetpp&s=0&p=safe"
    with visit(chromium, report.folder / "images.html", said) as opened:
        layers = [(truth == k, colour) for k, colour in enumerate(colours, 1)]
        assert np.array_equal(pixels(opened.page, "[data-kind=reference]"), painted(layers))
        assert truth.any()
        assert opened.problems == []


def test_pictures_are_those_of_the_test_split(chromium, report):
    with visit(chromium, report.folder / "images.html", f"d={OCT}&i=test-007") as opened:
        opened.page.wait_for_selector(READY)
        shown = opened.page.locator("#grid img").evaluate_all("all => all.map((one) => one.src)")
        assert shown
        assert all(name.endswith(f"images/{OCT}/pictures/00007.webp") for name in shown)
        assert opened.problems == []


def test_tables_and_runs_lead_to_the_images_of_a_run(chromium, report):
    link = f"../{case_link('isic2017', method='unetpp')}"
    for name in ("tables/IV.html", "runs/isic2017--unetpp.html"):
        with visit(chromium, report.folder / name) as opened:
            assert opened.page.locator(f'a[href="{link}"]').count() > 0
            opened.page.locator(f'a[href="{link}"]').first.click()
            opened.page.wait_for_selector(READY)
            assert "m=unetpp" in opened.page.url
            assert opened.page.locator("[data-method=unetpp]").count() > 0
            opened.page.locator("[data-method=unetpp] figcaption a").click()
            assert opened.page.url.endswith("/runs/isic2017--unetpp.html")
            assert opened.problems == []
