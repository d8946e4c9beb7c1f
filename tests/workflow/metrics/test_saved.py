"""Counts read back: arrays in their places, files that cannot be used, runs that do not compare."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflow.metrics.evaluation_cases import images
from workflow.base.errors import DataError
from workflow.base.files import write_json
from workflow.config import paths
from workflow.config.cells import Run
from workflow.config.load import load_config
from workflow.metrics.counts_file import (
    SCHEMA,
    classification_rows,
    segmentation_rows,
    write_counts_file,
)
from workflow.metrics.saved import Counts, ScoredImages, read_counts, read_runs

IDS, GROUPS = ["j", "i", "k"], ["b", "a", "b"]
COUNTS = np.random.default_rng(0).integers(0, 10**9, (3, 2, 4))
TARGETS = np.array([[1, 0], [0, 0], [1, 1]], np.uint8)
LOGITS = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)


def segmented(ids=IDS, groups=GROUPS, names=("irf", "srf"), counts=COUNTS, distances=None):
    return segmentation_rows(ids, groups, names, counts[: len(ids)], distances)


def classified(ids=IDS, groups=GROUPS, names=("x", "y")):
    return classification_rows(ids, groups, names, TARGETS[: len(ids)], LOGITS[: len(ids)])


@pytest.fixture
def saved(tmp_path):
    """Writes tables into a file and gives its path."""

    def write(*tables):
        path = tmp_path / "counts.parquet"
        write_counts_file(path, tables)
        return path

    return write


# ---- one file


def test_both_tasks_come_back(saved):
    pixels, labels = read_counts(saved(segmented(), classified()))
    assert pixels.images.ids == labels.images.ids == ("j", "i", "k")
    assert pixels.images.groups == labels.images.groups == ("b", "a")
    assert pixels.images.group.tolist() == labels.images.group.tolist() == [0, 1, 0]
    assert pixels.images.names == ("irf", "srf")
    assert labels.images.names == ("x", "y")
    for k, name in enumerate(("tp", "fp", "fn", "tn")):
        np.testing.assert_array_equal(getattr(pixels, name), COUNTS[..., k])
        assert getattr(pixels, name).dtype == np.float64
    assert np.isnan(pixels.hd95).all()
    assert np.isnan(pixels.asd).all()
    np.testing.assert_array_equal(labels.target, TARGETS == 1)
    assert labels.target.dtype == bool
    np.testing.assert_array_equal(labels.logit, LOGITS.astype(float))
    assert labels.logit.dtype == np.float64


def test_a_task_without_rows_is_none(saved):
    assert read_counts(saved(classified())).pixels is None
    assert read_counts(saved(segmented())).labels is None
    assert read_counts(saved(segmented(ids=[], groups=[]))) == (None, None)


def test_one_lesion_is_enough(saved):
    pixels, _ = read_counts(saved(segmented(names=["lesion"], counts=COUNTS[:, :1])))
    assert pixels.images.names == ("lesion",)
    assert pixels.images.group.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(pixels.fp, COUNTS[:, :1, 1])


def test_distances_come_back_with_their_gaps(saved):
    distances = np.array(
        [[[1.5, 0.5], [np.nan, np.nan]], [[0, 0], [3, 2]], [[np.nan, np.nan], [7, 1]]], np.float32
    )
    pixels, _ = read_counts(saved(segmented(distances=distances)))
    np.testing.assert_array_equal(pixels.hd95, distances[..., 0])
    np.testing.assert_array_equal(pixels.asd, distances[..., 1])


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(12)))
def test_rows_may_come_in_any_order(tmp_path_factory, order):
    path = tmp_path_factory.mktemp("shuffled") / "counts.parquet"
    table = pa.concat_tables([segmented(), classified()])
    write_counts_file(path, [table.take(order)])
    pixels, labels = read_counts(path)
    for found, whole, name in ((pixels, COUNTS[..., 1], "fp"), (labels, LOGITS, "logit")):
        names = ("irf", "srf") if name == "fp" else ("x", "y")
        seen = [table["id"][i].as_py() for i in order if table["name"][i].as_py() in names]
        assert found.images.ids == tuple(dict.fromkeys(seen))
        for i, image in enumerate(found.images.ids):
            assert found.images.groups[found.images.group[i]] == GROUPS[IDS.index(image)]
            for c, of_class in enumerate(found.images.names):
                expected = whole[IDS.index(image), names.index(of_class)]
                assert getattr(found, name)[i, c] == expected


def test_rows_in_several_portions_are_one_table(tmp_path):
    path = tmp_path / "counts.parquet"
    pq.write_table(pa.concat_tables([segmented(), classified()]), path, row_group_size=1)
    pixels, labels = read_counts(path)
    assert pixels.images.ids == labels.images.ids == ("j", "i", "k")
    np.testing.assert_array_equal(pixels.tn, COUNTS[..., 3])
    np.testing.assert_array_equal(labels.target, TARGETS == 1)


def test_dropped_images_are_left_out_with_groups_that_are_empty_then(saved):
    path = saved(segmented(), classified())
    pixels, labels = read_counts(path, {"i", "unknown"})
    assert pixels.images.ids == labels.images.ids == ("j", "k")
    assert pixels.images.groups == labels.images.groups == ("b",)
    np.testing.assert_array_equal(pixels.tp, COUNTS[[0, 2], :, 0])
    np.testing.assert_array_equal(labels.logit, LOGITS[[0, 2]])
    assert read_counts(path, ["j"]).pixels.images.groups == ("a", "b")
    assert read_counts(path, IDS) == (None, None)


@pytest.mark.parametrize(
    ("metadata", "found"),
    [({"counts_version": "1"}, "1"), ({"other": "2"}, "none"), (None, "none")],
)
def test_another_version_is_refused(tmp_path, metadata, found):
    path = tmp_path / "counts.parquet"
    pq.write_table(segmented().replace_schema_metadata(metadata), path)
    with pytest.raises(DataError) as error:
        read_counts(path)
    assert str(error.value) == (
        f"{path}: found counts of version {found}, expected 2; delete it, and it is made again"
    )


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a table at all"])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "counts.parquet"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=r"counts\.parquet: damaged \(cannot be read: .+\)\. Delete it: your"
    ):
        read_counts(path)


def test_a_cut_file_is_refused(saved):
    path = saved(segmented())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"counts\.parquet: damaged \(its content is not"):
        read_counts(path)


def replaced(table, name, values):
    return table.set_column(
        table.schema.get_field_index(name),
        SCHEMA.field(name),
        pa.array(values, SCHEMA.field(name).type),
    )


MISSING = "an image has no row, or two, of some class; delete it, and it is made again"
DAMAGE = {
    "a missing row": (segmented().slice(1), MISSING),
    "a missing label": (classified().slice(0, 5), MISSING),
    "a row twice": (pa.concat_tables([segmented(), segmented().slice(0, 1)]), MISSING),
    "a row twice for another": (
        pa.concat_tables([segmented().slice(1), segmented().slice(1, 1)]),
        MISSING,
    ),
    "two groups": (
        replaced(segmented(), "group", ["b", "b", "a", "b", "b", "b"]),
        "an image is in two groups; delete it, and it is made again",
    ),
    "a count that is missing": (
        replaced(segmented(), "fn", [1, 2, None, 4, 5, 6]),
        "column fn has rows without a finite number; delete it, and it is made again",
    ),
    "a logit that is not a number": (
        replaced(classified(), "logit", [1, 2, float("nan"), 4, 5, 6]),
        "column logit has rows without a finite number; delete it, and it is made again",
    ),
    "an infinite logit": (
        replaced(classified(), "logit", [1, 2, float("inf"), 4, 5, 6]),
        "column logit has rows without a finite number; delete it, and it is made again",
    ),
    "a label that is missing": (
        replaced(classified(), "target", [1, 0, None, 0, 0, 0]),
        "column target has rows without a finite number; delete it, and it is made again",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_rows_that_do_not_add_up_are_refused(saved, name):
    table, message = DAMAGE[name]
    path = saved(table)
    with pytest.raises(DataError) as error:
        read_counts(path)
    assert str(error.value) == f"{path}: {message}"


# ---- sums


def test_sums_over_the_images_of_each_group():
    found = images(5, ["x", "y"], list("abacb"))
    values = np.array([[1, 10], [2, 20], [3, 30], [4, 40], [5, 50]])
    assert found.sums(values).tolist() == [[4, 40], [7, 70], [4, 40]]
    assert found.sums(values > 2).tolist() == [[1, 2], [1, 2], [1, 1]]
    assert found.sums(values[:, :1]).tolist() == [[4], [7], [4]]
    assert found.sums(values).dtype == np.float64


def test_which_images_are_the_same():
    one = images(3, ["x"], list("aab"))
    assert one.same_as(images(3, ["x"], list("aab")))
    others = [
        images(2, ["x"], list("ab")),
        images(3, ["y"], list("aab")),
        images(3, ["x"], list("aac")),
        images(3, ["x"], list("abb")),
        ScoredImages(("i0", "i2", "i1"), one.names, one.groups, one.group),
    ]
    assert not any(one.same_as(other) for other in others)


# ---- the files of many runs

RUNS = [Run("isic2017", "resformer_seq"), Run("isic2017", "unetpp"), Run("isic2017", "vit")]


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The paper's configuration with two seeds, in an empty working folder."""
    config = load_config(overrides={"preset": "paper", "seeds": [3, 7]})
    monkeypatch.chdir(tmp_path)
    return config


def write(config, run, seed, *tables):
    path = paths.evaluation(config, *run, seed) / "counts.parquet"
    write_counts_file(path, tables)
    return path


def test_each_run_comes_with_the_seeds_that_are_there(config):
    write(config, RUNS[0], 7, segmented(), classified())
    write(config, RUNS[0], 3, segmented(), classified())
    write(config, RUNS[1], 7, segmented())
    found = list(read_runs(config, RUNS))
    assert [run for run, _ in found] == RUNS
    assert [list(seeds) for _, seeds in found] == [[3, 7], [7], []]
    assert all(isinstance(counts, Counts) for _, seeds in found for counts in seeds.values())
    assert found[1][1][7].labels is None
    assert list(read_runs(config, [])) == []


def test_duplicates_are_left_out_where_configured(config):
    write(config, RUNS[0], 3, segmented(), classified())
    write_json(paths.gates(config, "isic2017"), {"dropped": ["j", "elsewhere"]})
    ((_, seeds),) = read_runs(config, RUNS[:1])
    assert seeds[3].pixels.images.ids == ("j", "i", "k")
    dropping = config.evaluation.model_copy(update={"drop_duplicates": True})
    ((_, seeds),) = read_runs(config.model_copy(update={"evaluation": dropping}), RUNS[:1])
    assert seeds[3].pixels.images.ids == seeds[3].labels.images.ids == ("i", "k")


OTHERS = {
    "another image": segmented(ids=["j", "i", "l"]),
    "fewer images": segmented(ids=["j", "i"], groups=["b", "a"]),
    "another order": segmented(ids=["i", "j", "k"], groups=["a", "b", "b"]),
    "another group": segmented(groups=["b", "a", "a"]),
    "another name of a group": segmented(groups=["c", "a", "c"]),
    "another lesion": segmented(names=("irf", "ped")),
}


@pytest.mark.parametrize("name", OTHERS)
def test_runs_that_score_other_images_are_named(config, name):
    first = write(config, RUNS[0], 7, segmented(), classified())
    other = write(config, RUNS[1], 3, OTHERS[name])
    with pytest.raises(DataError) as error:
        list(read_runs(config, RUNS))
    assert str(error.value) == (
        f"{other} (unetpp on isic2017, seed 3): scores other images, groups or classes than "
        f"{first}, or in another order; expected the same for every run. One of the two is of an "
        "earlier split: delete it, and it is made again"
    )


def test_seeds_of_one_run_are_compared_too(config):
    write(config, RUNS[0], 3, segmented())
    write(config, RUNS[0], 7, OTHERS["another image"])
    with pytest.raises(DataError, match=r"resformer_seq on isic2017, seed 7\): scores other"):
        list(read_runs(config, RUNS[:1]))


def test_tasks_and_data_sets_may_score_different_images(config):
    write(config, RUNS[0], 3, segmented(), classified(ids=["j", "i"], groups=["b", "a"]))
    write(config, RUNS[2], 3, classified(ids=["j", "i"], groups=["b", "a"]))
    oct_run = Run("retouch_topcon", "unetpp")
    write(config, oct_run, 3, OTHERS["another image"])
    assert len(list(read_runs(config, [*RUNS, oct_run]))) == 4
