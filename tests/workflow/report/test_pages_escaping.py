"""Markup and scripts in every text that comes from data, in a browser: all shown, none executed."""

import json

import pandas as pd
import pytest

from tests.workflow.report.browsing import build_report, chromium, make_figure, visit
from tests.workflow.report.reporting_tree import small_raw, write_gates, write_tree
from workflow.config import paths
from workflow.config.cells import runs
from workflow.config.model import Config
from workflow.report.pages import TEMPLATES, template_of
from workflow.results.read import read_results

__all__ = ["chromium"]  # fixtures

# Ways out of text, of a quoted attribute, of a comment, of a script, of a style, of a template.
BREAKS = "</script></style></textarea></title>--><script>window.hit=1</script>"
HANDLER = "\"'><img src=x onerror=window.hit=1 onload=window.hit=1><svg onload=window.hit=1>"
EVIL = f"{BREAKS}{HANDLER}<a href=javascript:window.hit=1>{{{{7*7}}}}`${{window.hit=1}}`"
PRESET = "hostile"  # a name; other text is refused there
EVIL_LINE = EVIL + "\x1b[31m\x07"  # colour and a bell, as a log may hold
LOADED = "() => window.hit === undefined && !document.querySelector('img[src=x], [onload]')"
LINKS = "() => Array.from(document.links, a => a.protocol).filter(p => p !== 'file:')"


def evil_config():
    """Every text of a configuration that a page shows, replaced by what must not be obeyed."""
    raw = small_raw(notice=EVIL, preset=PRESET)
    for name, method in raw["methods"].items():
        method["title"] = f"{EVIL} {name}"
        method["options"] = {EVIL: EVIL}
        method["recipe"], method["native"] = "native", {"source": EVIL, "training": {}}
    for dataset in raw["datasets"].values():
        dataset["title"] += EVIL
    raw["datasets"]["isic2017"]["labels"] = ["melanoma", EVIL, "nevus"]
    raw["datasets"]["isic2017"]["lesions"] = [f"lesion{EVIL}"]
    for table in raw["tables"].values():
        table["caption"] = EVIL
        for row in table.get("rows", []):
            row["title"] += EVIL
        for column in table.get("columns", []):
            column["title"] += EVIL
    raw["tables"]["VIII"]["rows"][0]["group"] = EVIL
    for figure in raw["figures"].values():
        figure["caption"] = EVIL
    return Config.model_validate(raw)


def write_evil_tree(config):
    """What runs and data steps leave, with the same in every text of theirs."""
    write_tree(config)
    for dataset in config.datasets:
        folder = paths.prepared(config, dataset)
        file = folder / "manifest.json"
        manifest = json.loads(file.read_text()) | {"origin": EVIL, "hash": EVIL, "split": EVIL}
        file.write_text(json.dumps(manifest))
        index = pd.read_parquet(folder / "train" / "index.parquet")
        index["id"] = [f"{EVIL}{row}" for row in range(len(index))]
        index["group"] = EVIL
        index.to_parquet(folder / "train" / "index.parquet", index=False)
        pair = {"a": EVIL, "b": EVIL, "split_a": EVIL, "split_b": EVIL, "kind": EVIL}
        write_gates(
            config,
            dataset,
            10,
            duplicates=[{**pair, "difference": 0.1, "known": False}],
            gates=[{"name": EVIL, "passed": True, "detail": EVIL}],
        )
    for number, (dataset, method) in enumerate(runs(config)):
        file = paths.run(config, dataset, method, 0) / "run.json"
        facts = json.loads(file.read_text())
        texts = ("commit", "device", "host", "driver", "split", "lock_sha256", "data_hash")
        facts |= dict.fromkeys(texts, EVIL) | {"versions": {EVIL: EVIL}, "started": EVIL}
        facts["initialisation"] = {"kind": EVIL, "source": EVIL, "left_random": [EVIL]}
        if number % 2:
            facts["failure"] = {"kind": EVIL, "message": EVIL}
            logs = config.results / "logs" / "train" / dataset / method
            logs.mkdir(parents=True)
            (logs / "seed0_1.log").write_text(f"{EVIL_LINE}\n" * 60, encoding="utf-8")
        file.write_text(json.dumps(facts))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of a report in which everything is meant to break out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("evil"))
        config = evil_config()
        write_evil_tree(config)
        make_figure(config, "8")
        build_report(config, read_results(config, runs(config)))
        yield sorted(paths.report(config).absolute().rglob("*.html"))


def test_nothing_is_executed_and_all_is_shown(chromium, pages):
    assert len(pages) > 15
    shown = {}
    for file in pages:
        with visit(chromium, file) as opened:
            page = opened.page
            page.evaluate(
                "document.querySelectorAll('details').forEach(one => { one.open = true })"
            )
            page.wait_for_timeout(50)  # for what a broken picture would set off
            assert page.evaluate(LOADED), file.name
            assert page.evaluate(LINKS) == [], file.name
            assert opened.problems == [], file.name
            shown[file.name] = page.evaluate("document.body.innerText").count(EVIL)
            assert PRESET in page.title()
    assert min(shown.values()) >= 1, "the notice is on every page"
    assert sum(shown.values()) > 300


def test_every_control_can_be_used_and_nothing_is_executed(chromium, pages):
    tables = [file for file in pages if file.parent.name == "tables"]
    assert len(tables) == 3
    for file in tables:
        with visit(chromium, file, fragment="view=<script>&sort=1&order=<img>") as opened:
            for button in opened.page.locator("main button:visible").all():
                button.click()
            for view in opened.page.locator(".segmented span").all():
                view.click()
            assert opened.page.evaluate(LOADED), file.name
            assert opened.problems == [], file.name


def test_a_log_is_shown_to_its_last_fifty_lines(chromium, pages):
    found = 0
    for file in (file for file in pages if file.parent.name == "runs"):
        with visit(chromium, file) as opened:
            for log in opened.page.locator("pre.log").all():
                assert (log.text_content() or "").count("window.hit=1</script>") == 50
                found += 1
    assert found == 3


def test_every_template_escapes():
    for template in sorted(TEMPLATES.glob("*.html")):
        text = template.read_text(encoding="utf-8")
        for way_round in ("|safe", "| safe", "autoescape", "Markup"):
            assert way_round not in text, template.name
        escapes = template_of("base.html").environment.autoescape
        assert escapes is True or (callable(escapes) and escapes(template.name))
