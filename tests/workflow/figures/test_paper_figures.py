"""Figures: what is drawn and written on them, from a small result tree."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from tests.workflow.report.reporting_tree import SIZE, small_config, small_raw, write_tree
from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.config.model import Config
from workflow.config.notices import DEMO
from workflow.figures.layout import WIDTH
from workflow.figures.lettering import SMALLEST, fit_titles, shorten, width_of, wrap
from workflow.figures.make import make_figure
from workflow.figures.overlays import paint_classes, paint_errors
from workflow.figures.paper import figure


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_config()
    write_tree(config, missing={("isic2017", "unetpp", 0)})
    return config


def texts(drawn):
    return [text.get_text() for text in drawn.texts]


def pictures(drawn):
    return [axes.get_images()[0].get_array() for axes in drawn.axes if axes.get_images()]


def boxes(axes):
    return [p for p in axes.patches if isinstance(p, Rectangle) and not p.get_fill()]


def test_panels_hold_image_reference_and_each_method(tree):
    drawn = figure(tree, "5")
    assert len(drawn.axes) == 2 * 5
    shown, columns = " ".join(texts(drawn)), texts(drawn)
    assert {
        "Image",
        "Ground truth",
        "UNet++",
        "ResFormer (sequential)",
        "ResFormer (parallel)",
    } <= set(columns)
    assert "Cirrus" in columns
    folder = paths.prepared(tree, "retouch_cirrus") / "test"
    images, truth = np.load(folder / "images.npy"), np.load(folder / "masks.npy")
    first = next(i for i in range(10) if f"test-{i:03d}" in shown)
    lesions = tree.datasets["retouch_cirrus"].lesions
    panels = pictures(drawn)
    rows = {i for i in range(10) if f"test-{i:03d}" in shown}
    assert first in rows
    assert len(rows) == 2
    for row in (0, 5):
        case = next(i for i in rows if (panels[row] == images[i][:, :, None]).all())
        np.testing.assert_array_equal(
            panels[row + 1], paint_classes(images[case], truth[case], lesions)
        )
        for column, method in enumerate(["unetpp", "resformer_seq", "resformer_par"], start=2):
            file = paths.evaluation(tree, "retouch_cirrus", method, 0) / "masks.npz"
            mask = np.load(file)["masks"][case]
            np.testing.assert_array_equal(
                panels[row + column], paint_classes(images[case], mask, lesions)
            )


def test_error_figure_paints_errors_and_says_what_is_missing(tree):
    drawn = figure(tree, "8")
    empty = [axes for axes in drawn.axes if not axes.get_images()]
    assert len(empty) == 2, "UNet++ has no result for the seed shown"
    assert {axes.texts[0].get_text() for axes in empty} == {"missing"}
    panels = pictures(drawn)
    folder = paths.prepared(tree, "isic2017") / "test"
    images, truth = np.load(folder / "images.npy"), np.load(folder / "masks.npy")
    case = next(i for i in range(10) if (panels[0] == images[i]).all())
    mask = np.load(paths.evaluation(tree, "isic2017", "resformer_seq", 0) / "masks.npz")["masks"]
    np.testing.assert_array_equal(panels[2], paint_errors(images[case], truth[case], mask[case]))
    assert {"true positive", "false negative", "false positive"} <= set(texts(drawn))


def test_every_panel_of_a_case_has_the_same_white_box(tree):
    drawn = figure(tree, "5")
    for row in (drawn.axes[:5], drawn.axes[5:]):
        found = [boxes(axes) for axes in row]
        assert [len(b) for b in found] == [1] * 5
        places = {(b[0].get_xy(), b[0].get_width(), b[0].get_height()) for b in found}
        assert len(places) == 1
        (x, y), width, height = places.pop()
        assert width == height == SIZE / 4
        assert (x % 1, y % 1) == (0.5, 0.5), "the edge lies between pixels"
        assert to_hex(found[0][0].get_edgecolor()) == "#ffffff"


def test_the_figure_says_what_it_is(tree):
    drawn = figure(tree, "5")
    assert DEMO in texts(drawn)
    shown = " ".join(texts(drawn))
    assert "Figure 5. Fluids." in shown
    assert "2 of 9 test images with a lesion" in shown
    assert "Preset everything, seed 0." in shown
    assert "from different volumes" in shown
    assert "intra-retinal fluid (IRF)" in shown


def test_letters_are_legible_and_inside_the_sheet(tree):
    drawn = figure(tree, "8")
    width, height = drawn.get_size_inches()
    assert width == WIDTH
    renderer = drawn.canvas.get_renderer()
    for text in drawn.texts:
        assert text.get_fontsize() >= SMALLEST
        extent = text.get_window_extent(renderer)
        assert extent.x0 >= -1
        assert extent.x1 <= width * drawn.dpi + 1
        assert extent.y0 >= -1
        assert extent.y1 <= height * drawn.dpi + 1


def test_no_lettering_overlaps(tree):
    drawn = figure(tree, "5")
    renderer = drawn.canvas.get_renderer()
    extents = [text.get_window_extent(renderer) for text in drawn.texts]
    panels = [axes.get_window_extent(renderer) for axes in drawn.axes]
    for i, one in enumerate(extents):
        assert not any(one.overlaps(panel) for panel in panels)
        for other in extents[i + 1 :]:
            overlap = min(one.y1, other.y1) - max(one.y0, other.y0)
            beside = min(one.x1, other.x1) - max(one.x0, other.x0)
            assert overlap < 2 or beside < 2


def test_hostile_titles_are_only_text(tree):
    raw = small_raw()
    raw["methods"]["unetpp"]["title"] = r"$\frac{1}{2$ <b> \alpha_" + "x" * 40
    raw["datasets"]["retouch_cirrus"]["title"] = "$A very long $ name of a data set " * 4
    config = Config.model_validate(raw)
    drawn = figure(config, "5")
    drawn.canvas.draw()
    shortened = [text for text in texts(drawn) if text.endswith("…")]
    assert any(text.startswith(r"$\frac{1}{2$ <b>") for text in shortened)


def test_one_method_is_shown_where_it_errs(tree):
    config = small_config(select={"datasets": None, "methods": ["resformer_seq"]})
    assert "where the method shown errs most" in " ".join(texts(figure(config, "5")))


def test_identical_methods_get_no_box(tree):
    for method in ("unetpp", "resformer_par"):
        source = paths.evaluation(tree, "retouch_cirrus", "resformer_seq", 0) / "masks.npz"
        target = paths.evaluation(tree, "retouch_cirrus", method, 0) / "masks.npz"
        target.write_bytes(source.read_bytes())
    drawn = figure(tree, "5")
    assert not any(boxes(axes) for axes in drawn.axes)
    assert "No box: no difference between the methods shown." in " ".join(texts(drawn))


def test_files_are_written_whole_and_repeat(tree):
    make_figure(tree, "5")
    files = [paths.figure(tree, "5", suffix) for suffix in ("pdf", "png")]
    first = [file.read_bytes() for file in files]
    assert first[0].startswith(b"%PDF")
    assert first[1].startswith(b"\x89PNG")
    make_figure(tree, "5")
    assert [file.read_bytes() for file in files] == first
    found = sorted(p.name for p in files[0].parent.glob("[!.]*"))
    assert found == ["figure_5.pdf", "figure_5.png"]


def test_what_cannot_be_drawn_is_refused(tree):
    with pytest.raises(ConfigError, match=r"figures: unknown name '9'"):
        make_figure(tree, "9")
    nothing = small_config(select={"datasets": ["isic2017"], "methods": None})
    with pytest.raises(ConfigError, match=r"figures\.5: no panel is left"):
        figure(nothing, "5")


def test_wrapping_and_fitting():
    lines = wrap("one two three four five six", 7.0, 0.6)
    assert " ".join(lines) == "one two three four five six"
    assert len(lines) > 1
    assert all(width_of(line, 7.0) <= 0.6 for line in lines)
    assert shorten("short", 6.0, 2.0) == "short"
    cut = shorten("much too long a name", 6.0, 0.5)
    assert cut.endswith("…")
    assert width_of(cut, 6.0) <= 0.5
    assert [t.rotation for t in fit_titles(["Image", "Ground truth"], 0.6)] == [0, 0]
    assert {t.rotation for t in fit_titles(["Image", "Unbreakablylongname"], 0.5)} == {90}
    assert fit_titles(["Ground truth"], 0.5)[0].text == "Ground\ntruth"
