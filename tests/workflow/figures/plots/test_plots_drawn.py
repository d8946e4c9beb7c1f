"""The larger figures as they are drawn: words, places, failed and missing runs, no overlap."""

import itertools
import json
import shutil

import matplotlib as mpl
import pytest
from matplotlib.text import Text

from tests.workflow.report.failed_runs import fail
from tests.workflow.report.reporting_tree import small_config, small_raw, write_tree
from workflow.base.errors import ConfigError
from workflow.config import paths
from workflow.config.cells import runs
from workflow.config.model import Config
from workflow.config.notices import DEMO
from workflow.figures.lettering import DPI
from workflow.figures.make_plot import make_plot
from workflow.figures.plots import PLOTS, made_plots
from workflow.figures.plots.drawing import draw
from workflow.figures.plots.page import WIDTH, look
from workflow.results.read import read_results

FAILED, MISSING = ("isic2017", "resformer_seq"), ("isic2017", "vit")
EVIL = "$x^2$ <b>_\\frac{1}{2}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A finished tree in which one method failed in all seeds, and another has lost one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("plots"))
        config = small_config()
        write_tree(config, missing={(*MISSING, 1)})
        spread_flops(config)
        for seed in config.seeds:
            fail(config, *FAILED, seed)
        yield config, read_results(config, runs(config))


def spread_flops(config):
    """Give each method four times the FLOPs of the one before, so that an axis has much to say."""
    for file in config.results.glob("runs/*/*/*/run.json"):
        record = json.loads(file.read_text())
        record["flops"] = 5e9 * 4 ** list(config.methods).index(record["method"])
        file.write_text(json.dumps(record))


@pytest.fixture(scope="module")
def drawn(tree):
    """Key -> its figure, laid out."""
    with look():
        figures = {key: draw(tree[0], key, tree[1]) for key in made_plots(tree[0])}
        for figure in figures.values():
            figure.set_dpi(DPI)  # as it is saved; coarser pixels make lettering wider
            figure.draw_without_rendering()
        yield figures


def texts(figure):
    """All words that are shown, but the labels of ticks that lie outside their axes."""
    hidden = {
        label
        for axes in figure.axes
        for axis, labels in ((axes.xaxis, axes.get_xticklabels(which="both")),
                             (axes.yaxis, axes.get_yticklabels(which="both")))
        for label in labels
        if not inside(axis, label)
    }  # fmt: skip
    found = figure.findobj(Text)
    return [t for t in found if t.get_text().strip() and t.get_visible() and t not in hidden]


def inside(axis, label):
    if not axis.axes.axison:
        return False
    low, high = sorted(axis.get_view_interval())
    return low <= label.get_position()[0 if axis.axis_name == "x" else 1] <= high


def said(figure):
    """All that is said outside the panels, on one line."""
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


@pytest.mark.parametrize("key", PLOTS)
def test_nothing_overlaps_or_leaves_the_page(drawn, key):
    figure = drawn[key]
    page = figure.bbox.padded(1.0)
    boxes = [(text, text.get_window_extent()) for text in texts(figure)]
    assert len(boxes) > 3
    for text, box in boxes:
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, text
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, text
    # A box has room for accents and descenders above and below its letters.
    tight = [(text, box.expanded(1.0, 0.75)) for text, box in boxes]
    for (one, a), (other, b) in itertools.combinations(tight, 2):
        assert not a.overlaps(b), (one, other)


@pytest.mark.parametrize("key", PLOTS)
def test_the_figure_has_the_width_of_a_page_and_legible_type(drawn, key):
    figure = drawn[key]
    assert figure.get_figwidth() == WIDTH
    assert min(text.get_fontsize() for text in texts(figure)) >= 6.0


@pytest.mark.parametrize("key", PLOTS)
def test_it_says_what_it_is_of_how_many_seeds_and_what_is_lacking(tree, drawn, key):
    words = said(drawn[key])
    assert words.startswith(DEMO)
    assert PLOTS[key].title in words
    assert PLOTS[key].caption in words
    assert "seeds 0, 1 (n = 2)" in words
    shown = {"published", "ranking", "curves"}
    if key in shown or key.startswith(("seeds", "efficiency")) or key == "reliability":
        assert "Failed: ResFormer (sequential) on ISIC 2017 (2 of 2 seeds)." in words
    if key in ("ranking", "curves", "reliability", "seeds_classification"):
        assert "Missing: ViT on ISIC 2017 (1 of 2 seeds)." in words


def test_a_run_without_a_number_has_a_word_in_its_place(drawn):
    for key in ("seeds_segmentation", "seeds_classification", "reliability"):
        words = [text.get_text() for axes in drawn[key].axes for text in axes.texts]
        assert "failed" in words, key
        assert "missing" not in words, "one seed of ViT is there"


def test_a_failed_run_ends_in_a_cross_and_others_have_their_kept_epoch(drawn):
    lines = [line for axes in drawn["curves"].axes for line in axes.lines]
    crosses = [line for line in lines if line.get_gid() == "failed"]
    kept = [line for line in lines if line.get_gid() == "kept"]
    assert [float(line.get_xdata()[0]) for line in crosses] == [3.0, 3.0]
    assert {float(line.get_xdata()[0]) for line in kept} == {2.0}
    assert {float(line.get_ydata()[0]) for line in kept} == {0.6}
    assert len(kept) == 2 * 4 - 2 - 1, "seeds of four runs, less the failed and the missing"


def test_curves_do_not_wait_for_results(tree, tmp_path, monkeypatch):
    """They read what training leaves, so a run that is not evaluated yet is not missing."""
    config, _ = tree
    for folder in ("runs", "data"):
        shutil.copytree(config.results / folder, tmp_path / config.results / folder)
    monkeypatch.chdir(tmp_path)
    with look():
        words = said(draw(config, "curves"))
    assert "Missing: ViT on ISIC 2017 (1 of 2 seeds)." in words
    assert words.count("seeds)") == 2


@pytest.mark.parametrize("failed", [True, False])
def test_every_figure_is_drawn_when_no_run_has_a_result(tmp_path, monkeypatch, failed):
    monkeypatch.chdir(tmp_path)
    config = small_config()
    if failed:
        write_tree(config)
        for run in runs(config):
            for seed in config.seeds:
                fail(config, *run, seed)
    for key in made_plots(config):
        with look():
            figure = draw(config, key)
            figure.draw_without_rendering()
        assert ("Failed: " if failed else "Missing: ") in said(figure), key
        assert ("Missing: " if failed else "Failed: ") not in said(figure), key


def test_names_are_no_mathematics(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = small_raw()
    raw["methods"]["resformer_par"]["title"] = raw["datasets"]["isic2017"]["title"] = EVIL
    config = Config.model_validate(raw)
    write_tree(config)
    for key in ("seeds_segmentation", "efficiency_classification", "reliability"):
        make_plot(config, key)
        assert paths.plot(config, key, "png").stat().st_size > 1000


def test_the_same_bytes_each_time_and_only_what_there_is(tree):
    config, results = tree
    before = mpl.rcParams["font.size"]
    files = [paths.plot(config, "ablation", suffix) for suffix in ("pdf", "png")]
    made = []
    for given in (None, results):
        make_plot(config, "ablation", given)
        made.append([file.read_bytes() for file in files])
    assert made[0] == made[1]
    assert made[0][0].startswith(b"%PDF")
    assert b"CreationDate" not in made[0][0]
    assert mpl.rcParams["font.size"] == before
    with pytest.raises(ConfigError, match=r"unknown name 'rankings'.*ranking"):
        make_plot(config, "rankings")
    none = small_config(select={"methods": ["vit"]})
    with pytest.raises(ConfigError, match="nothing is left under `select`"):
        make_plot(none, "seeds_segmentation")
