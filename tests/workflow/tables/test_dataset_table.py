"""Table I: from manifests, printed values beside."""

import pytest

from tests.workflow.report.reporting_tree import paper_config, small_config
from workflow.base.errors import ConfigError
from workflow.tables.datasets import build_dataset_table, native_sizes
from workflow.tables.formats import to_html, to_markdown
from workflow.tables.latex import to_latex
from workflow.tables.tidy import to_csv


def manifest(groups, sizes, train, val, test):
    counts = {"train": train, "val": val, "test": test}
    splits = {name: {"images": n, "groups": 1} for name, n in counts.items()}
    return {"groups": groups, "original_sizes": sizes, "splits": splits}


MANIFESTS = {
    "retouch_cirrus": manifest(24, ["512x1024"], 2176, 384, 512),
    "retouch_spectralis": manifest(24, ["512x496"], 833, 147, 196),
    "retouch_topcon": manifest(22, ["512x885", "512x650"], 1792, 384, 512),
}


def test_table_I_counts_validation_as_training():
    table = build_dataset_table(paper_config(), "I", MANIFESTS)
    rows = {row.title: [(c.text, c.printed) for c in row.cells] for row in table.rows}
    assert rows == {
        "Cirrus": [("24", "24"), ("512×1024", "512×1024"), ("2560", "2560"), ("512", "512")],
        "Spectralis": [("24", "24"), ("512×496", "512×496"), ("980", "980"), ("196", "198")],
        "Topcon": [("22", "22"), ("512×885, 512×650", "512×885"), ("2176", "2176"), ("512", "512")],
    }
    assert table.stub == ("Machine",)


def test_table_I_in_each_format():
    table = build_dataset_table(paper_config(), "I", MANIFESTS)
    markdown = to_markdown(table).splitlines()
    assert r"| Machine | \# of volumes | Image size | Training | Testing |" in markdown
    assert (
        r"| Spectralis | 24 \[24\] | 512×496 \[512×496\] | 980 \[980\] | 196 \[198\] |" in markdown
    )
    assert r"Machine & \# of volumes & Image size & Training & Testing \\" in to_latex(table)
    assert r"512$\times$885, 512$\times$650" in to_latex(table)
    assert "I,Spectralis,retouch_spectralis,testing,196,198,paper," in to_csv(table).splitlines()
    html = to_html(table)
    assert '<th scope="col">Testing</th>' in html
    assert "[198]" in html
    assert "rowspan" not in html


def test_a_data_set_that_is_not_prepared_is_missing():
    table = build_dataset_table(paper_config(), "I", {})
    assert {cell.text for row in table.rows for cell in row.cells} == {"missing"}


def test_many_native_sizes_are_counted():
    sizes = [f"{n}x{n}" for n in range(600, 612)]
    assert native_sizes({"original_sizes": sizes}) == "600×600, 601×601, 602×602 and 9 more"
    assert native_sizes({"original_sizes": ["64×48"]}) == "64×48"


def test_nothing_left_is_refused():
    config = small_config(select={"datasets": ["isic2017"], "methods": None})
    with pytest.raises(ConfigError, match=r"tables\.I: none of its data sets"):
        build_dataset_table(config, "I", MANIFESTS)
