"""The HTML report: whole, self-contained, every link good, everything escaped."""

import json
import math
import re
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from PIL import Image

from tests.workflow.report.report_pages import read_pages, results_of
from tests.workflow.report.reporting_tree import (
    ROOT,
    fake_results,
    small_config,
    small_raw,
    write_gates,
    write_tree,
)
from workflow.config import paths
from workflow.config.cells import runs
from workflow.config.load import load_raw
from workflow.config.model import Config
from workflow.config.notices import DEMO, SPLIT_BY_SLICE
from workflow.figures.make import make_figure
from workflow.report import navigation
from workflow.report.content import slug
from workflow.report.samples import SIDE
from workflow.report.site import build_report

MISSING = {("isic2017", "vit", 1)}
NAVIGATION = [
    "index", "tables", "verdicts", "figures", "images", "runs", "data", "fidelity", "provenance"
]  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A report of a small tree with a missing seed, an undefined metric and a missing figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("report"))
        config = small_config()
        write_tree(config, missing=MISSING)
        make_figure(config, "8")
        results = fake_results(config, missing=MISSING)
        undefined = (results["method"] == "resformer_par") & (results["metric"] == "sen")
        results.loc[undefined & (results["seed"] == 0), "value"] = math.nan
        build_report(config, results_of(config, results))
        yield config, paths.report(config).absolute()


@pytest.fixture(scope="module")
def pages(built):
    return read_pages(built[1])


def test_every_page_is_there(built, pages):
    config, _ = built
    wanted = {f"{name}.html" for name in NAVIGATION}
    wanted |= {f"tables/{key}.html" for key in config.tables}
    wanted |= {f"runs/{dataset}--{method}.html" for dataset, method in runs(config)}
    assert set(pages) == wanted
    assert len(runs(config)) == 7


def test_every_link_and_picture_leads_to_a_file(built, pages):
    config, folder = built
    checked = 0
    for name, page in pages.items():
        for target in page.links + page.loads:
            if target == "data:,":
                continue
            assert not re.match(r"[a-z]+:|//|/", target), f"{name} leads outside: {target}"
            address, _, fragment = unquote(target).partition("#")
            file = ((folder / name).parent / address).resolve() if address else folder / name
            assert file.is_file(), f"{name}: {target}"
            assert file.is_relative_to(folder)
            if "=" in fragment and file.name == "images.html":  # a state of its script
                said = dict(parse_qsl(urlsplit(target).fragment))
                assert said["d"] in config.datasets
                assert said.get("m", "vit") in config.methods
            elif fragment:
                assert fragment in pages[file.relative_to(folder).as_posix()].ids, target
            checked += 1
    assert checked > 200


def test_nothing_is_loaded_from_elsewhere(built):
    _, folder = built
    for path in [*folder.rglob("*.html"), *folder.rglob("*.css")]:
        text = path.read_text(encoding="utf-8")
        # The configuration is shown too, and names an address that nothing is loaded from.
        text = text.replace("isic2017_url: https:", "")
        assert not re.search(r"https?:|@import|url\(|\son\w+=", text), path.name
        # Scripts are files beside the pages, so that no text of a page is ever run.
        for tag, content in re.findall(r"(<script[^>]*>)(.*?)</script>", text, re.DOTALL):
            assert re.fullmatch(r'<script src="[\w./-]+\.js"( defer)?>', tag), path.name
            assert content == "", path.name


def test_pages_are_well_formed_and_named(pages):
    for name, page in pages.items():
        assert page.open == [], name
        assert len(page.ids) == len(set(page.ids)), name
        assert [t for t, _ in page.tags].count("h1") == 1
        assert ("html", {"lang": "en"}) in page.tags
        assert all("alt" in image for image in page.images), name


def test_every_page_has_navigation_and_the_demo_notice(pages):
    for name, page in pages.items():
        up = "../" * name.count("/")
        assert [link for link in page.links if link in {f"{up}{n}.html" for n in NAVIGATION}]
        assert all(f"{up}{n}.html" in page.links for n in NAVIGATION), name
        assert DEMO in page.text, name


def test_real_data_has_no_demo_notice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {**small_raw()["data"], "origin": "local"}
    config = small_config(data=data, preset="paper")
    write_tree(config)
    build_report(config, results_of(config))
    for page in read_pages(paths.report(config)).values():
        assert DEMO not in page.text
    assert "paper" in page.text


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [("loss", "lowest loss"), ("ji", "highest Jaccard index"), ("dsc", "highest Dice")],
)
def test_the_overview_says_how_checkpoints_are_chosen(tmp_path, monkeypatch, checkpoint, said):
    monkeypatch.chdir(tmp_path)
    config = small_config(
        training={**small_config().training.model_dump(), "checkpoint": checkpoint}
    )
    build_report(config, results_of(config, fake_results(config).iloc[:0]))
    assert f"checkpoint by {said}" in (paths.report(config) / "index.html").read_text()


def test_what_is_missing_comes_first(built, pages):
    text = " ".join(pages["index.html"].text.split())
    trouble = text.index("Missing or in doubt: 11")
    assert trouble < text.index("What was run") < text.index("Table IV")
    assert "ViT on ISIC 2017, seed 1: no finished training run" in text
    assert "Figure 5: the picture was not made" in text
    assert "runs/isic2017--vit.html" in pages["index.html"].links
    assert "13 of 14" in text
    run = " ".join(pages["runs/isic2017--vit.html"].text.split())
    assert "Seed 1: no finished training run" in run
    assert "1 of 2" in pages["runs.html"].text


def test_the_overview_says_what_was_run(pages):
    text = " ".join(pages["index.html"].text.split())
    assert "Training time 6.5 h" in text, "13 runs of half an hour"
    assert "0123456789ab" in text
    assert "a processor" in text
    assert "phantom images" in text
    assert "3 incomplete cells" in text, "Acc and Sen of ViT, Sen of the parallel network"


def test_numbers_lead_to_the_page_of_their_runs(pages):
    page = pages["tables/IV.html"]
    assert page.links.count("../runs/isic2017--unetpp.html") == 2
    assert page.links.count("../runs/isic2017--resformer_seq.html") == 4
    assert "[78.6]" in page.text, "the printed value stands beside ours"
    assert {"table_IV.csv", "table_IV.md", "table_IV.tex"} <= set(page.links)
    assert [link for link in page.links if link.endswith(("VIII.html", "I.html"))]


def test_a_run_page_shows_results_curves_and_facts(pages):
    page = pages["runs/isic2017--resformer_par.html"]
    text = " ".join(page.text.split())
    for fact in ("29.2 M", "30 min", "1.5 GB", "loss 0.5", "random", "learning_rate: 0.003"):
        assert fact in text
    assert "../tables/IV.html" in page.links
    charts = [a["aria-label"] for tag, a in page.tags if tag == "svg"]
    assert charts == [
        "Loss, seed 0. Epochs 1 to 3: training from 1 to 0.333, validation from 1.2 to 0.4",
        "Loss, seed 1. Epochs 1 to 3: training from 1 to 0.333, validation from 1.2 to 0.4",
    ]
    assert "50.00" in text
    assert "51.00" in text
    assert "undefined" in text


def test_the_data_page_counts_and_shows(built, pages):
    config, folder = built
    text = " ".join(pages["data.html"].text.split())
    assert "64×48 pixels" in text
    assert "training 4 10 10 3 (30 %) 3 (30 %) 3 (30 %) 30.0 % 5.00 %" in text
    assert "groups in one split: 12 groups" in text
    # A pair of duplicates, and what comes of it.
    assert "1 pairs of images that are the same or nearly so; 1 test images are also in" in text
    assert "train-001 train test-002 test near 0.40 yes" in text
    assert "evaluation.drop_duplicates: true leaves them out" in text
    # The paper's rows allow .267 to .333 for Cirrus; our test set's share stands beside it.
    assert "only if 26.7 to 33.3 % of the labels" in text
    assert "of this test set 30.0 % are" in text
    assert "Phantoms have no say in this" in text
    assert "600×450 is the size of another data set" in text
    samples = sorted((folder / "samples").iterdir())
    assert len(samples) == 12
    with Image.open(samples[0]) as picture:
        assert picture.size == (2 * SIDE, SIDE)
    assert all(image["alt"] for image in pages["data.html"].images)
    assert config.datasets["isic2017"].title in pages["data.html"].images[-1]["alt"]


def test_a_split_by_slice_is_called_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = small_raw()
    raw["datasets"]["retouch_cirrus"]["split"] = "slices"
    config = Config.model_validate(raw)
    write_tree(config)
    write_gates(config, "retouch_cirrus", 10, leaks={"groups": 9, "of": 12})
    build_report(config, results_of(config))
    pages = read_pages(paths.report(config))
    text = " ".join(pages["data.html"].text.split())
    assert "9 of 12 volumes lie on more than one side of this split" in text
    for name in ("index.html", "tables/VIII.html", "runs/retouch_cirrus--unetpp.html"):
        assert SPLIT_BY_SLICE in pages[name].text, name


def test_gates_that_have_not_passed_are_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_config()
    write_tree(config)
    paths.gates(config, "isic2017").unlink()
    build_report(config, results_of(config))
    text = read_pages(paths.report(config))["data.html"].text
    assert "The gates have not passed." in text


def test_table_i_says_where_the_printed_one_cannot_be(pages):
    assert "Where the printed summary differs" not in pages["tables/I.html"].text  # Cirrus fits
    assert "Where the printed summary differs" not in pages["tables/IV.html"].text


def test_the_notes_of_table_i_are_shown_with_their_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = small_raw()
    topcon = load_raw(ROOT / "config.yaml", {"preset": "everything"})["datasets"]["retouch_topcon"]
    raw["datasets"] = {"retouch_topcon": {**topcon, "image_size": 24}, **raw["datasets"]}
    raw["tables"]["I"]["datasets"] = ["retouch_topcon"]
    for row in raw["tables"]["VIII"]["rows"]:
        row["dataset"] = "retouch_topcon"
    config = Config.model_validate(raw)
    write_tree(config)
    build_report(config, results_of(config))
    text = " ".join(read_pages(paths.report(config))["tables/I.html"].text.split())
    assert "Topcon: 12 volumes have 885 rows and 10 have 650" in text


def test_provenance(built, pages):
    text = pages["provenance.html"].text
    for fact in ("0123456789abcdef0123456789abcdef01234567", "2.15.0", "c0ffee" * 10, "10c4" * 16):
        assert fact in text
    assert "spread_ddof: 1" in text
    assert "different" not in text.replace("different volumes", "")


def test_several_commits_and_other_data_are_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_config()
    write_tree(config)
    file = paths.run(config, "isic2017", "vit", 0) / "run.json"
    changes = {"commit": "f" * 40 + "+changes", "data_hash": "other"}
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    build_report(config, results_of(config))
    pages = read_pages(paths.report(config))
    assert "made by 2 different" in " ".join(pages["provenance.html"].text.split())
    text = " ".join(pages["index.html"].text.split())
    assert "f" * 12 + "+changes" in text
    assert "trained on other data (manifest other) than is prepared now" in text


def test_nothing_shown_is_obeyed(tmp_path, monkeypatch):
    """Markup in every text that comes from configuration, data and runs stays text."""
    monkeypatch.chdir(tmp_path)
    evil = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
    raw = small_raw()
    raw["methods"]["vit"]["title"] = raw["tables"]["IV"]["rows"][-1]["title"] = evil
    raw["tables"]["IV"]["caption"] = raw["tables"]["IV"]["columns"][0]["title"] = evil
    raw["tables"]["VIII"]["rows"][0] |= {"group": evil, "title": evil}
    raw["figures"]["5"]["caption"] = raw["notice"] = evil
    raw["datasets"]["isic2017"]["title"] = evil
    raw["datasets"]["isic2017"]["labels"] = ["melanoma", "<u>", "nevus"]
    config = Config.model_validate(raw)
    write_tree(config)
    for dataset, method in runs(config):
        file = paths.run(config, dataset, method, 0) / "run.json"
        facts = {"commit": evil, "device": evil, "initialisation": evil, "versions": {evil: evil}}
        file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))
    make_figure(config, "8")
    build_report(config, results_of(config))
    folder = paths.report(config)
    pages = read_pages(folder)
    for name, page in pages.items():
        tags = {tag for tag, _ in page.tags}
        assert "u" not in tags, name
        assert not [a for _, a in page.tags if any(k.startswith("on") for k in a)], name
        assert all(image["src"] != "x" for image in page.images), name
        for target in page.links + page.loads:
            address = target.partition("#")[0]
            if address and target != "data:,":
                assert (folder / name).parent.joinpath(unquote(address)).resolve().is_file()
    assert evil in pages["index.html"].text
    assert any(evil in page.text for name, page in pages.items() if name.startswith("runs/"))


def test_file_names_are_safe_and_differ():
    assert slug("retouch_cirrus") == "retouch_cirrus"
    names = {slug(name) for name in ("a/b", "a\\b", "a b", "../x", "a_b", "é")}
    assert len(names) == 6
    assert all(re.fullmatch(r"[\w-]+", name, re.ASCII) for name in names)


def test_an_empty_tree_still_gives_a_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_config()
    build_report(config, results_of(config, fake_results(config).iloc[:0]))
    pages = read_pages(paths.report(config))
    text = " ".join(pages["index.html"].text.split())
    assert "0 of 14" in text
    assert "Data set Cirrus: the data was not prepared" in text
    assert "missing" in pages["tables/IV.html"].text
    assert "not recorded" in pages["provenance.html"].text


def test_a_report_is_replaced_whole_or_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_config()
    write_tree(config)
    build_report(config, results_of(config))
    folder = paths.report(config)
    (folder / "stale.html").write_text("old")
    before = (folder / "index.html").read_text()
    monkeypatch.setattr(navigation, "dataset_entries", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_report(config, results_of(config))
    assert (folder / "stale.html").read_text() == "old"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    build_report(config, results_of(config))
    assert not (folder / "stale.html").exists()
    assert (folder / "index.html").read_text() == before
    hidden = [p.name for p in folder.parent.iterdir() if p.name.startswith(".")]
    assert hidden == [".report.sha256"]
