"""What a reader is warned of: each warning where it holds, with names if not for all."""

from tests.workflow.report.reporting_tree import small_raw
from workflow.config.cells import runs
from workflow.config.model import Config
from workflow.config.notices import (
    DEMO,
    SELECTED_ON_TEST,
    SPLIT_BY_SLICE,
    WITHOUT_DUPLICATES,
    notices,
)


def noticed(**changes):
    raw = small_raw()
    raw["data"]["origin"] = changes.pop("origin", "local")
    for key, value in changes.items():
        raw = {**raw, key: value(raw[key])}
    config = Config.model_validate(raw)
    return notices(config, runs(config))


def test_nothing_to_warn_of():
    assert noticed() == ()


def test_phantoms_and_the_presets_own_words():
    assert noticed(origin="phantom") == (DEMO,)
    assert noticed(notice=lambda _: "look out") == ("look out",)


def test_duplicates_that_are_left_out():
    found = noticed(evaluation=lambda given: {**given, "drop_duplicates": True})
    assert found == (WITHOUT_DUPLICATES,)


def test_a_split_by_slice_names_its_data_set():
    def by_slice(datasets):
        return {**datasets, "retouch_cirrus": {**datasets["retouch_cirrus"], "split": "slices"}}

    assert noticed(datasets=by_slice) == (f"{SPLIT_BY_SLICE} (only retouch_cirrus)",)


def test_a_split_by_slice_of_all_data_sets_is_said_without_names():
    raw = small_raw()
    raw["data"]["origin"] = "local"
    raw["datasets"]["retouch_cirrus"]["split"] = "slices"
    config = Config.model_validate(raw)
    of_oct = [run for run in runs(config) if run.dataset == "retouch_cirrus"]
    assert notices(config, of_oct) == (SPLIT_BY_SLICE,)


def test_checkpoints_chosen_on_test():
    assert noticed(training=lambda given: {**given, "validation": "test"}) == (SELECTED_ON_TEST,)
    some = noticed(
        methods=lambda given: {**given, "vit": {**given["vit"], "training": {"validation": "test"}}}
    )
    assert some == (f"{SELECTED_ON_TEST} (only vit on isic2017)",)
