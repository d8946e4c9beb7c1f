"""A run's page leads to its weights and its export, and says what predicts with them."""

import shlex

from tests.workflow.report.report_pages import read_pages, results_of, words
from tests.workflow.report.reporting_tree import small_config, write_tree
from workflow.__main__ import parser_of
from workflow.config import paths
from workflow.config.cells import Run
from workflow.report.run_use import run_use
from workflow.report.site import build_report

RUN = Run("isic2017", "unetpp")


def written(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("something")


def test_links_lead_to_what_is_there_and_the_lines_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_config()
    assert run_use(config, RUN)[:2] == ((), ())
    weights = paths.run(config, *RUN, 1) / "weights.safetensors"
    exported = config.results / paths.exported(*RUN, 1)
    written(weights, exported, exported.with_suffix(".md"))
    found = run_use(config, RUN)
    assert [link.text for link in found.weights] == ["seed 1"]
    links = [*found.weights, *found.exports[0]]
    for link, file in zip(links, (weights, exported, exported.with_suffix(".md")), strict=True):
        assert (paths.report(config) / link.href).resolve() == file.resolve()
    for line in (found.predict, found.export):
        program, name, *arguments = shlex.split(line.removeprefix("uv run "))
        assert program == "resformer"
        assert parser_of(name).parse_args(arguments).words[:3] == [
            config.results.as_posix(), *RUN,
        ]  # fmt: skip


def test_the_page_of_a_run_shows_them_where_there_are_any(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small_config()
    write_tree(config)
    exported = config.results / paths.exported(*RUN, 0)
    written(
        paths.run(config, *RUN, 0) / "weights.safetensors",
        exported,
        exported.with_suffix(".md"),
    )
    build_report(config, results_of(config))
    pages = read_pages(paths.report(config))
    page = pages["runs/isic2017--unetpp.html"]
    assert f"uv run resformer predict {config.results.as_posix()} isic2017 unetpp" in words(page)
    led = [link for link in page.links if link.endswith((".safetensors", ".md"))]
    assert len(led) == 3
    for link in led:
        assert (paths.report(config) / "runs" / link).resolve().is_file()
    assert "Use it" not in words(pages["runs/isic2017--resformer_seq.html"])
