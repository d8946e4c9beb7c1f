"""Fingerprints change with the values that decide a result, and with no others.

Of runs, each test compares all of the paper's preset.
"""

import functools
import shutil

import pytest

from workflow.config import cells
from workflow.config.errors import merge
from workflow.config.load import load_raw, resolve
from workflow.running import fingerprint


@functools.cache
def paper():
    return load_raw(overrides={"preset": "paper"})


def config(*changes):
    """The paper's preset with some dotted keys replaced."""
    raw = paper()
    for key, value in changes:
        for part in reversed(key.split(".")):
            value = {part: value}
        raw = merge(raw, value)
    return resolve(raw)


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch, repo):
    monkeypatch.chdir(repo)


def changed_runs(*changes):
    before, after = config(), config(*changes)
    return {
        run
        for run in cells.runs(before)
        if fingerprint.run_fingerprint(before, *run) != fingerprint.run_fingerprint(after, *run)
    }


def all_runs(where=lambda dataset, method: True):
    """Every run that is trained: controls without a network have no protocol."""
    own = config()
    return {run for run in cells.runs(own) if own.methods[run.method].module and where(*run)}


@pytest.mark.parametrize(
    "change",
    [
        ("training.epochs", 99),
        ("training.max_steps", 10),
        ("training.weight_decay", 0.01),
        ("training.betas", [0.8, 0.999]),
        ("training.schedule", "cosine"),
        ("training.loss.segmentation", 2.0),
        ("training.augmentation.rotation", 10),
        ("training.precision", "float32"),
        ("training.determinism", "fast"),
        ("training.validation", "test"),
        ("training.checkpoint", "ji"),
        ("evaluation.batch_size", 3),
    ],
    ids=lambda change: change[0],
)
def test_a_common_key_changes_every_run(change):
    assert changed_runs(change) == all_runs()


def test_a_common_key_leaves_the_runs_that_have_their_own_value():
    own = {name for name, method in config().methods.items() if "learning_rate" in method.training}
    assert {"vit", "swint"} <= own < set(config().methods)
    expected = all_runs(lambda dataset, method: method not in own)
    assert changed_runs(("training.learning_rate", 0.5)) == expected


@pytest.mark.parametrize(
    "change",
    [
        ("training.threads", 1),
        ("training.device", "cpu"),
        ("training.seeds_per_job", 5),
        ("training.keep_weights", False),
        ("training.seeds_at_once", 2),
        ("training.save_seconds", 5),
        ("training.images_on", "host"),
        ("training.profile", True),
        ("training.log", ["csv", "tensorboard"]),
        ("report.masks", "all"),
        ("methods.unetpp.training", {"threads": 2}),
        ("seeds", [7]),
        ("notice", "look out"),
        ("methods.unetpp.title", "U-Net++"),
        ("methods.unetpp.sizes.minimum", 64),
        ("datasets.isic2017.title", "ISIC"),
        ("tables.II.caption", "Another caption."),
        ("figures.5.cases_per_dataset", 1),
        ("evaluation.decision", "softmax"),
        ("evaluation.threshold", 0.4),
        ("statistics.decimals", 2),
        ("data.retouch_dir", "elsewhere"),
        ("data.isic2017_url", "https://mirror.example/"),
        ("data.threads", 9),
        ("datasets.isic2017.duplicates", None),
        ("evaluation.drop_duplicates", True),
    ],
    ids=lambda change: change[0],
)
def test_what_decides_no_run_changes_none(change):
    assert changed_runs(change) == set()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("methods.unetpp.training", {"learning_rate": 0.01}),
        ("methods.unetpp.options", {"encoder": "resnet50"}),
    ],
)
def test_a_methods_own_keys_change_its_runs_only(key, value):
    assert changed_runs((key, value)) == all_runs(lambda dataset, method: method == "unetpp")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("datasets.isic2017.image_size", 192),
        ("datasets.isic2017.labels", ["melanoma", "nevus"]),
    ],
)
def test_a_data_sets_own_keys_change_its_runs_only(key, value):
    its = {run for run in cells.runs(config()) if run.dataset == "isic2017"}
    assert changed_runs((key, value)) == its  # controls among them: they see its images


def test_a_data_sets_protocol_changes_its_trained_runs_only():
    change = ("datasets.isic2017.training", {"epochs": 7})
    assert changed_runs(change) == all_runs(lambda dataset, method: dataset == "isic2017")


def test_no_two_runs_share_a_fingerprint():
    prints = [fingerprint.run_fingerprint(config(), *run) for run in cells.runs(config())]
    # The three vendors of RETOUCH differ in `vendor` and `split`, methods in module or options.
    assert len(set(prints)) == len(prints)


def table(key, *changes):
    return fingerprint.table_fingerprint(config(*changes), key)


@pytest.mark.parametrize(
    "change",
    [
        ("methods.unetpp.title", "U-Net++"),
        ("datasets.retouch_cirrus.title", "Cirrus HD"),
        ("tables.VI.caption", "Another caption."),
        ("statistics.decimals", 2),
        ("evaluation.decision", "softmax"),
        ("seeds", [0, 1]),
        ("notice", "look out"),
        ("training.validation", "test"),
        ("datasets.retouch_topcon.training", {"validation": "test"}),
        ("select.methods", ["unetpp"]),
    ],
    ids=lambda change: change[0],
)
def test_what_a_table_shows_changes_it(change):
    assert table("VI") != table("VI", change)


@pytest.mark.parametrize(
    "change",
    [
        ("training.threads", 1),
        ("evaluation.batch_size", 2),
        ("tables.II.caption", "Another caption."),
        ("methods.vit.title", "ViT-B"),
        ("datasets.isic2017.title", "ISIC"),
    ],
    ids=lambda change: change[0],
)
def test_what_a_table_does_not_show_leaves_it(change):
    assert table("VI") == table("VI", change)


def test_a_row_that_an_extra_table_takes_from_another_changes_it():
    change = ("tables.VI.rows", [{"title": "UNet++", "method": "unetpp"}])
    assert table("lesions") != table("lesions", change)
    assert table("labels") == table("labels", change)


def test_templates_and_printed_numbers_change_tables_and_the_report(monkeypatch):
    tables = [table(key) for key in cells.made_tables(config())]
    report = fingerprint.report_fingerprint(config())
    real = fingerprint.assets()
    monkeypatch.setattr(fingerprint, "assets", lambda: [*real, "one more"])
    assert not set(tables) & {table(key) for key in cells.made_tables(config())}
    assert fingerprint.report_fingerprint(config()) != report


def test_assets_are_the_files_beside_the_reporting_code(tmp_path, monkeypatch, repo):
    for name in fingerprint.ASSETS:
        shutil.copytree(repo / "workflow" / name, tmp_path / "workflow" / name)
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    before = fingerprint.assets()
    for name in (
        "results/published/tables.csv",
        "tables/templates/fragment.html",
        "report/templates/table.html",
        "report/templates/style.css",
    ):
        file = tmp_path / "workflow" / name
        file.write_text(file.read_text() + "\n")
        after = fingerprint.assets()
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1, name
        before = after


def test_figures_change_with_their_titles_and_warnings():
    def figure(*changes):
        return fingerprint.figure_fingerprint(config(*changes), "7")

    assert figure() == figure(("training.threads", 1)) == figure(("statistics.decimals", 0))
    for change in [
        ("methods.unetpp.title", "U-Net++"),
        ("figures.7.cases_per_dataset", 3),
        ("notice", "look out"),
        ("training.validation", "test"),
    ]:
        assert figure() != figure(change), change


def test_evaluation_changes_with_the_pixel_scale_and_the_network_only():
    def evaluation(*changes):
        return fingerprint.evaluation_fingerprint(config(*changes), "isic2017", "unetpp")

    assert evaluation() == evaluation(("evaluation.threshold", 0.1), ("training.threads", 1))
    assert evaluation() != evaluation(("training.normalize", "none"))
    assert evaluation() != evaluation(("methods.unetpp.module", "baselines.deeplabv3plus"))


def test_editing_the_committed_split_changes_the_data_and_not_the_protocol(tmp_path):
    file = tmp_path / "split.csv"
    file.write_text("id,split\nTRAIN001,train\nTRAIN002,val\nTRAIN003,test\n")
    own = config(("datasets.retouch_cirrus.split", str(file)))

    def prints():
        of_data = [
            fingerprint.data_fingerprint(own, "retouch_cirrus", step)
            for step in ("inventory", "split", "prepare")
        ]
        others = fingerprint.data_fingerprint(own, "isic2017", "prepare")
        return of_data, others, fingerprint.run_fingerprint(own, "retouch_cirrus", "unetpp")

    before = prints()
    assert len(set(before[0])) == 3
    file.write_text(file.read_text().replace("TRAIN002,val", "TRAIN002,train"))
    after = prints()
    # Only the split itself; what comes after it takes the split's own file as its input.
    changed = [a != b for a, b in zip(before[0], after[0], strict=True)]
    assert changed == [False, True, False]
    assert before[1:] == after[1:]


def test_data_changes_with_size_and_seed_and_not_with_titles():
    def data(*changes):
        return fingerprint.data_fingerprint(config(*changes), "isic2017", "prepare")

    same = [("datasets.isic2017.title", "x"), ("datasets.isic2017.training", {"epochs": 2})]
    assert data() == data(*same) == data(("training.epochs", 2))
    assert data() != data(("datasets.isic2017.image_size", 192))


# Step -> the keys that change it; each changes no step that is not named.
STEPS_CHANGED = {
    ("datasets.retouch_cirrus.image_size", 256): {"prepare", "gates"},
    ("datasets.retouch_cirrus.intensity", "volume"): {"prepare"},
    ("datasets.retouch_cirrus.slice_step", 2): {"inventory", "prepare"},
    ("datasets.retouch_cirrus.split", "balanced"): {"split", "prepare", "gates"},
    ("datasets.retouch_cirrus.duplicates", "workflow/data/records/isic2017_duplicates.csv"): {
        "gates"
    },
    ("data.resize.masks", "majority"): {"prepare"},
    ("data.val_volumes", 2): {"split"},
    ("data.retouch_record", None): {"inventory"},
    ("data.isic2017_record", None): set(),
    ("data.retouch_dir", "elsewhere"): set(),
    ("datasets.isic2017.image_size", 192): set(),
}


@pytest.mark.parametrize("change", STEPS_CHANGED, ids=lambda change: change[0])
def test_a_key_of_the_data_remakes_exactly_the_steps_that_use_it(change):
    def prints(*changes):
        own = config(*changes)
        return {
            step: fingerprint.data_fingerprint(own, "retouch_cirrus", step)
            for step in ("inventory", "split", "prepare", "gates")
        }

    before, after = prints(), prints(change)
    assert {step for step in before if before[step] != after[step]} == STEPS_CHANGED[change]


def test_phantoms_change_with_their_seed():
    def phantom(source, *changes):
        return fingerprint.phantom_fingerprint(config(*changes), source)

    assert phantom("retouch") != phantom("retouch", ("data.phantom.seed", 5))
    assert phantom("retouch") != phantom("isic2017")
    assert phantom("retouch") == phantom("retouch", ("training.epochs", 5))


def test_the_reader_of_one_source_is_not_part_of_the_others_data(monkeypatch):
    read = fingerprint._read
    before = {
        dataset: fingerprint.data_fingerprint(config(), dataset, "prepare")
        for dataset in ("retouch_cirrus", "isic2017")
    }
    fingerprint.code_hash.cache_clear()

    def edited(name):
        code = read(name)
        return code._replace(tree="edited") if name == "workflow.data.sources.isic2017" else code

    monkeypatch.setattr(fingerprint, "_read", edited)
    after = {
        dataset: fingerprint.data_fingerprint(config(), dataset, "prepare") for dataset in before
    }
    fingerprint.code_hash.cache_clear()
    assert before["retouch_cirrus"] == after["retouch_cirrus"]
    assert before["isic2017"] != after["isic2017"]


def test_a_table_is_made_anew_when_a_row_names_other_weights(tmp_path):
    """Also where the bits are the same, so that no run is: the row shows the name of the file."""
    prints = []
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).write_bytes(b"the same")
        made = config(("methods.unetpp.pretrained", str(tmp_path / name)))
        run = fingerprint.run_fingerprint(made, "isic2017", "unetpp")
        prints.append((run, fingerprint.table_fingerprint(made, "VII")))
    assert prints[0][0] == prints[1][0]
    assert prints[0][1] != prints[1][1]
