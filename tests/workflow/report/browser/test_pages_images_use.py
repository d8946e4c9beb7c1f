"""Using the image browser: filters and orders, keys, links in and out, and zoom."""

import numpy as np
import pytest

from tests.workflow.report.browser.microscope_pages import IMAGES, write_browser
from tests.workflow.report.browsing import READY, chromium, visit

__all__ = ["chromium"]  # a fixture


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return write_browser(tmp_path_factory.mktemp("images"))


@pytest.fixture
def page(chromium, case):
    with visit(chromium, case.page, "o=id") as opened:
        opened.page.wait_for_selector(READY)
        yield opened.page
        assert opened.problems == []


def title(page):
    page.wait_for_selector(READY)
    return page.locator("#case-title").text_content()


def listed(page, case):
    """Numbers of the images in the list, by stepping through it with the keyboard."""
    page.wait_for_selector(READY)
    total = int(page.locator("#count").inner_text().split(" ", 1)[0])
    for _ in range(IMAGES):
        page.keyboard.press("k")
    found = [case.ids.index(title(page))] if total else []
    for _ in range(total - 1):
        page.keyboard.press("j")
        found.append(case.ids.index(page.locator("#case-title").text_content()))
    return found


def opened_with(chromium, case, fragment):
    with visit(chromium, case.page, fragment) as opened:
        found = listed(opened.page, case)
        assert opened.problems == []
    return found


def sorted_by(key):
    """Images by a key, smallest first, missing last, ties in their order."""
    return sorted(range(IMAGES), key=lambda k: (np.isnan(key[k]), key[k], k))


def test_orders_are_those_of_the_numbers(chromium, case):
    ours, other = case.quality("ours", 0), case.quality("other", 0)
    third = case.quality("third", 1)
    assert np.isnan(ours).any(), "an image without any class comes last"
    wanted = {
        "o=id": sorted_by(np.zeros(IMAGES)),
        "": sorted_by(-case.disagreement.astype(float)),
        "o=worst&m=third&s=1": sorted_by(third),
        "o=gain&m=ours&g=other": sorted_by(other - ours),
        "o=loss&m=ours&g=other": sorted_by(ours - other),
    }
    found = {said: opened_with(chromium, case, said) for said in wanted}
    assert found == wanted
    assert len({tuple(order) for order in found.values()}) == len(found)


def test_filters_keep_what_the_numbers_say(chromium, case):
    area, total = case.area, case.area.sum(1)
    truth = case.reference
    missed = np.zeros(IMAGES, bool)
    invented = np.zeros(IMAGES, bool)
    for place, value in enumerate((1, 2)):
        lesion, said = truth == value, case.masks["third", 0] == value
        lost = case.bytes_of("third", 0)[2][:, place] / 2000
        missed |= (area[:, place] > 0) & (lost > 0.5 * area[:, place])
        invented |= (area[:, place] == 0) & (said & ~lesion).any((1, 2))
    wrong = (case.called("labels", 1) != case.truth)[:, 0]
    wanted = {
        "c=irf": area[:, 0] > 0,
        "c=none": total == 0,
        "min=3&max=5": (100 * total >= 3) & (100 * total <= 5),
        "f=miss&m=third": missed,
        "f=alarm&m=third": invented,
        "f=label&m=labels&s=1": wrong,
        "q=CASE-1": np.array(["case-1" in name for name in case.ids]),
        "q=Volume 1": np.arange(IMAGES) // 5 == 1,
    }
    for said, kept in wanted.items():
        assert 0 < kept.sum() < IMAGES, said
        found = opened_with(chromium, case, f"o=id&{said}")
        assert found == np.flatnonzero(kept).tolist(), said


def test_keys_move_through_images_seeds_and_views(page, case):
    assert title(page) == "case-00"
    for key, wanted in (("j", 1), ("ArrowDown", 2), ("ArrowLeft", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        assert title(page) == case.ids[wanted]
    page.keyboard.press("]")
    assert page.locator("[name=s]").input_value() == "1"
    page.keyboard.press("[")
    assert page.locator("[name=s]").input_value() == "0"
    page.keyboard.press("2")
    assert page.locator("[name=v][value=outcomes]").is_checked()
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    assert title(page) == "case-00", "keys rest while help is open"
    page.keyboard.press("f")
    page.keyboard.type("j2")
    assert page.locator("[name=q]").input_value() == "j2"
    assert page.locator("#count").inner_text().startswith("0 of")


def test_every_control_is_reached_with_tab(page):
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || document.activeElement.id"))
        style = page.evaluate("""() => {
          const radio = document.activeElement.matches("[type=radio]");
          const one = radio ? document.activeElement.nextElementSibling : document.activeElement;
          return one === document.body || getComputedStyle(one).outlineStyle !== "none"; }""")
        assert style, page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    wanted = {"d", "m", "s", "g", "q", "list", "v", "a", "p", "seeds", "zoom-in", "zoom-out"}
    assert wanted <= reached


def test_links_lead_in_and_back(chromium, page, case):
    page.locator("[name=m]").select_option("other")
    page.locator("#list").focus()
    page.keyboard.press("j")
    page.keyboard.press("3")
    assert title(page) == "case-01"
    address = page.url
    assert "d=oct&i=case-01&m=other" in address
    assert "v=agreement" in address
    with visit(chromium, case.page, address.split("#", 1)[1]) as again:
        assert title(again.page) == "case-01"
        assert again.page.locator("[name=v][value=agreement]").is_checked()
        assert again.page.locator("[name=m]").input_value() == "other"
        assert again.page.url == address
    page.go_back()
    page.wait_for_selector("[data-method=ours] canvas")
    assert page.locator("[name=v][value=classes]").is_checked()
    page.go_back()
    page.wait_for_function("document.getElementById('case-title').textContent === 'case-00'")
    page.go_forward()
    page.wait_for_function("document.getElementById('case-title').textContent === 'case-01'")


def test_what_the_address_does_not_know_is_said(chromium, case):
    said = "d=zzz&i=nobody&m=magic&s=99&v=art&f=x&o=y"
    with visit(chromium, case.page, said) as opened:
        opened.page.wait_for_selector(READY)
        text = opened.page.locator("#trouble").inner_text()
        for value in ("zzz", "nobody", "magic", "99", "art", "x", "y"):
            assert f"“{value}”" in text
        assert opened.page.locator("[name=d]").input_value() == "oct"
        assert opened.problems == []


def test_methods_can_be_left_out_and_seeds_laid_side_by_side(page):
    page.get_by_text("Methods shown").click()
    page.locator("#methods input[value=third]").uncheck()
    page.wait_for_selector(READY)
    assert page.locator("[data-method=third]").count() == 0
    page.locator("[name=seeds]").check()
    page.wait_for_selector(READY)
    seeds = page.locator("[data-kind=method]").evaluate_all(
        "all => all.map(one => one.dataset.method + one.dataset.seed)"
    )
    assert seeds == ["ours0", "ours1", "ours2"]
    page.locator("[name=d]").select_option("skin")
    page.wait_for_function("location.hash.includes('d=skin')")
    page.wait_for_selector(READY)


def test_zoom_and_pan_move_all_panels_together(page):
    layers = "all => [...new Set(all.map(one => getComputedStyle(one).transform))]"

    def transform():
        found = page.locator("#grid .layer").evaluate_all(layers)
        assert len(found) == 1, "one place for all"
        return [float(x) for x in found[0].removeprefix("matrix(").removesuffix(")").split(",")]

    assert transform()[0] == 1
    page.keyboard.press("+")
    assert transform()[0] == pytest.approx(1.5)
    before = transform()
    box = page.locator("[data-method=ours] .stage").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 70)
    page.mouse.up()
    after = transform()
    assert after[4] - before[4] == pytest.approx(20, abs=0.5)
    assert after[5] - before[5] == pytest.approx(10, abs=0.5)
    page.mouse.wheel(0, -100)
    page.wait_for_function(
        "new DOMMatrix(getComputedStyle(document.querySelector('.layer')).transform).a > 1.6"
    )
    page.locator("#zoom-reset").click()
    assert transform() == [1, 0, 0, 1, 0, 0]


def test_opacity_changes_the_overlay_alone(page):
    slider = page.locator("[name=a]")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "65"
    overlay = page.locator("[data-method=ours] .overlay")
    assert overlay.evaluate("one => getComputedStyle(one).opacity") == "0.65"
    assert "a=65" in page.url
