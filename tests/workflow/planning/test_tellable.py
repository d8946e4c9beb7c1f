"""What a configuration could tell before it is run, against tests and verdicts on such results."""

import numpy as np
import pytest
from scipy.stats import t as student

from tests.workflow.report.reporting_tree import paper_config
from workflow.__main__ import main
from workflow.metrics.against import Printing, against
from workflow.metrics.intervals import Design, MeanEstimate
from workflow.planning.tellable import IMAGES, VOLUMES, as_text, groups_tested, tellable

PAPER = paper_config()


@pytest.fixture(scope="module")
def found():
    return {(one.table, one.title): one for one in tellable(PAPER)}


def test_groups_and_comparisons_are_those_of_the_tables(found):
    assert {one.groups for key, one in found.items() if key[1] != "ISIC 2017"} == {4}
    isic = found["VII", "ISIC 2017"]
    # Columns of 6 and 10 methods: 3 of classification and 2 of segmentation.
    assert (isic.groups, isic.methods, isic.tests) == (600, 10, 3 * 15 + 2 * 45)
    assert found["VI", "Cirrus"].tests == 6 * 45
    assert not any(table == "controls" for table, _ in found)


def test_a_single_test_is_that_of_its_groups_where_seeds_do_not_vary(found):
    one = found["VI", "Cirrus"]
    least = (student.ppf(0.975, 3) + student.ppf(0.8, 3)) * VOLUMES.difference / 2
    assert one.single == pytest.approx(least, rel=0.15)
    # The family of the table asks for far more than one test does, and more than on ISIC 2017.
    assert one.first > 20 > 4 > found["VII", "ISIC 2017"].first


def test_the_supported_margin_is_that_of_a_verdict(found):
    one = found["VII", "ISIC 2017"]
    error = IMAGES.seed / np.sqrt(5)
    mean = MeanEstimate(50.0, None, 5, 0.0, 100.0, error, 4.0, (), error)
    expected = against(mean, 50.0, Printing(same_images=True), Design())
    assert one.margin == pytest.approx(expected.supports)
    assert expected.verdict == "reproduced"
    assert one.would_take <= 5
    assert found["VI", "Cirrus"].would_take is None


def test_more_spread_tells_less(found):
    for key, one in {(x.table, x.title): x for x in tellable(PAPER, 2.0)}.items():
        assert one.margin > found[key].margin
        assert one.single == pytest.approx(2 * found[key].single)


def test_of_one_seed_nothing_is_told():
    config = paper_config(seeds=[0])
    rows = tellable(config)
    assert all(one.single is one.first is one.margin is one.would_take is None for one in rows)
    assert "With one seed nothing is testable" in as_text(config, rows, 1.0)


def test_groups_of_other_splits():
    for split, groups in (("balanced", 4), ("kfold 1/5", None), ("slices", None)):
        datasets = {name: entry.model_dump() for name, entry in PAPER.datasets.items()}
        datasets["retouch_cirrus"]["split"] = split
        assert groups_tested(paper_config(datasets=datasets), "retouch_cirrus") == groups


def test_the_command_prints_a_row_for_each_table_and_data_set(capsys):
    assert main(["power", "paper", "--spread", "2"]) == 0
    text = capsys.readouterr().out
    assert "in points, times 2:" in text
    assert sum(line.startswith("Table ") for line in text.splitlines()) == len(tellable(PAPER))
    assert "no number of groups" in text
    assert main(["power", "paper", "--spread", "-1"]) == 2
    assert "give a number, more than 0" in capsys.readouterr().err
