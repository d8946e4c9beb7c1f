"""The image browser in a real browser: what it paints is what the masks say, pixel for pixel."""

import numpy as np
import pytest

from tests.workflow.report.browser.microscope_pages import (
    CLASSES,
    EVIL_ID,
    HEIGHT,
    IMAGES,
    OUTCOMES,
    WIDTH,
    write_browser,
)
from tests.workflow.report.browsing import PIXELS, READY, chromium, serious_findings, visit

__all__ = ["chromium"]  # a fixture

# Dark to light; 0 to 50 per cent of the masks differ.
RAMP = np.array([(59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191)])


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return write_browser(tmp_path_factory.mktemp("images"))


def pixels(page, selector):
    page.wait_for_selector(READY)
    found = page.locator(f"{selector} canvas").evaluate(PIXELS)
    return np.array(found, np.uint8).reshape(HEIGHT, WIDTH, 4)


def painted(layers):
    """RGBA of masks in colours: opaque where painted, nothing elsewhere."""
    image = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    for where, colour in layers:
        image[where] = (*bytes.fromhex(colour[1:]), 255)
    return image


def in_classes(mask, palette):
    return painted([(mask == one["value"], one[palette]) for one in CLASSES])


def in_outcomes(reference, mask, palette):
    lesion = reference > 0
    hit = lesion & (mask == reference)
    parts = {"tp": hit, "fn": lesion & ~hit, "fp": ~lesion & (mask > 0)}
    return painted([(where, OUTCOMES[key][palette]) for key, where in parts.items()])


def in_heat(masks):
    """The heat map of the share of masks that differ from the most common label."""
    counts = np.stack([(np.stack(masks) == value).sum(0) for value in range(3)])
    share = 1 - counts.max(0) / len(masks)
    place = np.minimum(1, share / 0.5) * (len(RAMP) - 1)
    bands = [np.interp(place, range(len(RAMP)), RAMP[:, k]) for k in range(3)]
    image = np.stack([*bands, np.full(share.shape, 255.0)], axis=-1)
    return np.where(share[..., None] > 0, image, 0), share


@pytest.mark.parametrize("palette", ["colour", "safe"])
@pytest.mark.parametrize("image", [7, 38])
def test_overlays_are_the_stored_masks(chromium, case, palette, image):
    said = f"i=case-{image:02d}&s=0" + ("&p=safe" if palette == "safe" else "")
    reference, mask = case.reference[image], case.masks["other", 0][image]
    assert reference.any()
    assert (mask != reference).any()
    with visit(chromium, case.page, said) as opened:
        page = opened.page
        assert np.array_equal(pixels(page, "[data-kind=reference]"), in_classes(reference, palette))
        assert np.array_equal(pixels(page, "[data-method=other]"), in_classes(mask, palette))
        page.keyboard.press("2")
        assert np.array_equal(
            pixels(page, "[data-method=other]"), in_outcomes(reference, mask, palette)
        )
        assert opened.problems == []


def test_heat_maps_show_where_methods_and_seeds_differ(chromium, case):
    with visit(chromium, case.page, "i=case-12&s=0&v=agreement") as opened:
        wanted, share = in_heat([case.masks[m, 0][12] for m in ("ours", "other", "third")])
        assert len(np.unique(share)) > 2
        found = pixels(opened.page, "[data-kind=agreement]").astype(float)
        assert np.abs(found - wanted).max() <= 1
        assert "3 of 5 methods" in opened.page.locator("[data-kind=agreement]").inner_text()
        opened.page.keyboard.press("4")
        wanted, share = in_heat([case.masks["ours", seed][12] for seed in (0, 1, 2)])
        assert share.any()
        found = pixels(opened.page, "[data-method=ours]").astype(float)
        assert np.abs(found - wanted).max() <= 1
        other = opened.page.locator("[data-method=other]").inner_text()
        assert "Only seed 0 is kept" in other
        assert opened.problems == []


def test_a_panel_without_masks_says_why(chromium, case):
    with visit(chromium, case.page, "i=case-12&s=1") as opened:
        opened.page.wait_for_selector(READY)
        said = {key: opened.page.locator(f"[data-method={key}]").inner_text()
                for key in ("other", "labels", "broken")}  # fmt: skip
        assert "seed 1 are not kept" in said["other"]
        assert "labels whole images" in said["labels"]
        assert "Seed 0 failed" in said["broken"]
        assert opened.page.locator("[data-method=other] canvas").count() == 0
        assert opened.problems == []


def test_captions_say_dice_and_probability(chromium, case):
    with visit(chromium, case.page, "i=case-12&s=0") as opened:
        opened.page.wait_for_selector(READY)
        panel = opened.page.locator("[data-method=ours]")
        dice = case.bytes_of("ours", 0)[0][12]
        for one, byte in zip(CLASSES, dice, strict=True):
            shown = "–" if byte == 255 else f"{byte / 2:.1f}"
            assert f"{one['key'].upper()} {shown}" in panel.inner_text()
            words = panel.locator("canvas").get_attribute("aria-label")
            assert f"{one['title']}: Dice {shown}" in words
        chance = case.probabilities["ours", 0][12, 0] / 250
        truth = "yes" if case.truth[12, 0] else "no"
        assert f"Wet {chance:.2f}, truth {truth}" in panel.inner_text()
        assert "case-12" in opened.page.locator("#announcer").inner_text()


def test_a_label_is_wrong_where_the_run_calls_it_otherwise(chromium, case):
    wrong = (case.called("labels", 1) != case.truth)[:, 0]
    at_half = ((case.probabilities["labels", 1] >= 125) != case.truth)[:, 0]
    for kind in ((True, True), (True, False), (False, True), (False, False)):
        image = next(k for k in range(IMAGES) if (wrong[k], at_half[k]) == kind)
        with visit(chromium, case.page, f"i={case.ids[image]}&s=1") as opened:
            opened.page.wait_for_selector(READY)
            label = opened.page.locator("[data-method=labels] .label")
            assert ("wrong" in (label.get_attribute("class") or "").split()) == wrong[image]


def test_markup_in_ids_and_titles_is_text(chromium, case):
    with visit(chromium, case.page) as opened:
        page = opened.page
        page.wait_for_selector(READY)
        page.locator("[name=q]").fill("b&w")
        assert page.locator("#case-title").inner_text().split() == EVIL_ID.split()
        assert page.locator("img[src=x]").count() == 0
        address = page.url
        assert opened.problems == []
    with visit(chromium, case.page, address.split("#", 1)[1]) as opened:
        opened.page.wait_for_selector(READY)
        assert opened.page.locator("#case-title").text_content() == EVIL_ID
        assert opened.page.locator("#trouble").is_hidden()
        assert opened.problems == []


def test_a_missing_or_spoiled_file_is_shown(chromium, tmp_path):
    case = write_browser(tmp_path)
    block = tmp_path / "images" / "oct" / "ours" / "seed0" / "0.js"
    block.unlink()
    (tmp_path / "images" / "oct" / "third" / "seed0" / "0.js").write_text("// nothing\n")
    with visit(chromium, case.page, "i=case-07") as opened:
        opened.page.wait_for_selector(READY)
        ours = opened.page.locator("[data-method=ours]").inner_text()
        assert "images/oct/ours/seed0/0.js could not be loaded" in ours
        third = opened.page.locator("[data-method=third]").inner_text()
        assert "does not hold what it should" in third
        assert opened.page.locator("[data-method=other] canvas").count() == 1
    (tmp_path / "images" / "oct" / "cases.js").unlink()
    with visit(chromium, case.page) as opened:
        opened.page.wait_for_selector("#trouble:not([hidden])")
        assert "images/oct/cases.js could not be" in opened.page.locator("#trouble").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["classes", "outcomes", "agreement", "variance"])
def test_axe_finds_nothing_serious(chromium, case, scheme, view):
    with visit(chromium, case.page, f"v={view}&f=miss&i=case-07", scheme=scheme) as opened:
        opened.page.wait_for_selector(READY)
        assert serious_findings(opened.page) + opened.problems == []
        opened.page.keyboard.press("?")
        assert serious_findings(opened.page) == []


def test_a_phone_does_not_scroll_sideways(chromium, case):
    with visit(chromium, case.page, "f=miss&v=outcomes", width=360) as opened:
        opened.page.wait_for_selector(READY)
        assert opened.page.evaluate("document.documentElement.scrollWidth") == 360
        opened.page.keyboard.press("j")
        assert opened.problems == []


def test_the_list_holds_only_rows_in_sight(chromium, case):
    with visit(chromium, case.page) as opened:
        opened.page.wait_for_selector(READY)
        assert 0 < opened.page.locator("#list [role=option]").count() < IMAGES
        assert opened.page.locator("#list [role=option]").first.get_attribute(
            "aria-setsize"
        ) == str(IMAGES)
