"""What the configuration refuses: each message names the key, what was found, what is allowed."""

import math

import pytest

from tests.workflow.config.config_changes import changed, nested
from workflow.base.errors import ConfigError
from workflow.config.load import load_config, load_raw, resolve


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch, repo):
    monkeypatch.chdir(repo)


# key, value, what the message says: the key, what was found, what is allowed
BAD = [
    (
        "preset",
        "papr",
        "found 'papr'; allowed: demo, everything, demo_long, smoke, paper, released, isic256",
    ),
    ("preset", ["demo"], "found ['demo']; allowed: demo, everything, demo_long, smoke, paper, "),
    ("velocity", 1, "unknown name 'velocity'. Allowed: data, datasets, evaluation"),
    ("seeds", [], "found []; List should have at least 1 item"),
    ("seeds", 0, "found 0; Input should be a valid list"),
    ("seeds", [0, 1, 0], "found [0, 1, 0]; Value error, each value may occur once"),
    ("seeds.0", [-1], "found -1; Input should be greater than or equal to 0"),
    ("training", 5, "found 5; Input should be a valid dictionary"),
    (
        "training.learning_rte",
        1,
        "unknown name 'learning_rte'; did you mean 'learning_rate'? Allowed: augmentation, batch",
    ),
    ("training.loss.sum", 1, "unknown name 'sum'. Allowed: class_weights, classification, cla"),
    ("training.epochs", 0, "found 0; Input should be greater than 0"),
    ("training.epochs", "3.5", "found '3.5'; Input should be a valid integer"),
    ("training.batch_size", 1, "found 1; Input should be greater than or equal to 2"),
    ("training.learning_rate", 0, "found 0; Input should be greater than 0"),
    ("training.learning_rate", math.inf, "found inf; Input should be a finite number"),
    ("training.betas.1", [0.9, 1.0], "found 1.0; Input should be less than 1"),
    ("training.betas.1", [0.9], "this key is missing"),
    ("training.warmup", 2, "found 2; Input should be less than or equal to 1"),
    ("training.schedule", "step", "found 'step'; Input should be 'polynomial', 'cosine', 'const"),
    ("training.precision", "fp16", "found 'fp16'; Input should be 'auto', 'bf16' or 'float32'"),
    ("training.validation", "train", "found 'train'; Input should be 'val' or 'test'"),
    ("training.gradient_clip", -1, "found -1; Input should be greater than 0"),
    ("training.augmentation.rotation", 200, "found 200; Input should be less than or equal to 180"),
    ("training.loss.class_weights", "x", "found 'x'; Input should be 'inverse_prevalence' or 'n"),
    ("training.loss.class_weights.1", [1, 0, 1], "found 0; Input should be greater than 0"),
    ("select.datasets", ["isic"], "unknown name 'isic'; did you mean 'isic2017'? Allowed: isic20"),
    ("select.methods", ["zzz"], "unknown name 'zzz'. Allowed: "),
    ("select.methods", "unetpp", "found 'unetpp'; Input should be a valid list"),
    ("data.origin", "remote", "found 'remote'; Input should be 'local' or 'phantom'"),
    ("data.phantom.retouch.volumes", 3, "found 3; Input should be greater than or equal to 4"),
    ("data.phantom.isic2017.size", [64, 64, 3], "found [64, 64, 3]; Tuple should have at most 2"),
    ("datasets.isic2017.split", "balanced", "found 'balanced'; allowed: kfold I/K, official, or"),
    (
        "datasets.retouch_topcon.split",
        "x.csv",
        "found 'x.csv'; allowed: kfold I/K, balanced, slices, or",
    ),
    ("datasets.retouch_cirrus.vendor", "Zeiss", "found 'Zeiss'; Input should be 'Cirrus', 'Spec"),
    ("datasets.isic2017.labels", ["nevus"] * 2, "found ['nevus', 'nevus']; Value error, each val"),
    ("datasets.isic2017.slice_step", 0, "found 0; Input should be greater than 0"),
    ("methods.unetpp.module", "unetpp", "found 'unetpp'; String should match pattern"),
    (
        "methods.unetpp.module",
        "baselines.no",
        "found 'baselines.no', but there is no such file with a function build(); ",
    ),
    ("methods.unetpp.options", {"encodr": "x"}, "unknown name 'encodr'; did you mean 'encoder'?"),
    ("datasets.isic2017.labels", ["irf"], "unknown name 'irf'. Allowed: melanoma, nevus, seb"),
    ("datasets.isic2017.lesions", ["mole"], "unknown name 'mole'"),
    ("tables.my table", {"caption": "x"}, "found 'my table'; String should match pattern"),
    ("methods.unetpp.tasks.0", ["detect"], "found 'detect'; Input should be 'segmentation' or 'c"),
    ("methods.unetpp.sizes.multiple_of", 0, "found 0; Input should be greater than 0"),
    ("methods.unetpp.optons", {}, "unknown name 'optons'; did you mean 'options'? Allowed: con"),
    ("evaluation.threshold", 1.5, "found 1.5; Input should be less than or equal to 1"),
    ("evaluation.decision", "max", "found 'max'; Input should be 'sigmoid', 'softmax' or 'argmax'"),
    ("datasets.isic2017.split", "kfold 3/2", "found 'kfold 3/2'; in kfold I/K, K is at least 3"),
    ("datasets.isic2017.split", "kfold 6/5", "found 'kfold 6/5'; in kfold I/K, K is at least 3"),
    ("datasets.isic2017.split", "0.7/0.1/0.1", "found '0.7/0.1/0.1'; the shares of train, val and"),
    (
        "datasets.isic2017.split",
        "0.7/0/0.3",
        "found '0.7/0/0.3'; the shares of train, val and test",
    ),
    ("datasets.isic2017.split", "7/1/2", "found '7/1/2'; the shares of train, val and test"),
    ("datasets.isic2017.split", "0.7/0.3", "found '0.7/0.3'; allowed: kfold I/K, official, or"),
    ("datasets.isic2017.split", "-1/1/1", "found '-1/1/1'; allowed: kfold I/K, official, or"),
    ("datasets.isic2017.split", "slices", "found 'slices'; allowed: kfold I/K, official, or"),
    ("datasets.isic2017.duplicates", "no.csv", "found 'no.csv', and there is no such file"),
    ("datasets.retouch_topcon.intensity", [5, 5], "found"),
    ("datasets.retouch_topcon.intensity", [-float("inf"), 5], "found"),
    ("data.isic2017_record", "no.yaml", "found 'no.yaml', and there is no such file; name one"),
    ("data.isic2017_url", "example.org", "found 'example.org'; Value error, expected an address"),
    (
        "data.store",
        "results/everything",
        "found 'results/everything', where preset everything writes",
    ),
    ("statistics.decimals", 9, "found 9; Input should be less than or equal to 4"),
    ("tables.II.mark", "italic", "found 'italic'; Input should be 'color' or 'bold'"),
    ("figures.5.methods", ["vit"], "'vit' does not segment, so it has no picture"),
    ("figures.5.datasets", ["oct"], "unknown name 'oct'. Allowed: isic2017, retouch_cirrus, ret"),
    ("figures.5.palette", "rgb", "found 'rgb'; Input should be 'classes' or 'errors'"),
]


@pytest.mark.parametrize(("key", "value", "message"), BAD, ids=[f"{k}={v!r}" for k, v, _ in BAD])
def test_refusals_name_the_key_the_value_and_what_is_allowed(key, value, message):
    # A key that ends in an index complains of one item of the list that was given.
    given = key.rpartition(".")[0] if key.rpartition(".")[2].isdigit() else key
    with pytest.raises(ConfigError) as caught:
        changed(nested(given, value))
    assert f"{key}: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("methods.unetpp.training", {"epochs": -1}, "epochs: found -1; Input should be greater"),
        (
            "datasets.isic2017.training",
            {"loss": {"sum": 1}},
            "loss.sum: unknown name 'sum'. Allowed: class_weights, classification, classifica",
        ),
        ("datasets.isic2017", {"vendor": "Cirrus"}, "Value error, `vendor` goes with source retou"),
        ("datasets.retouch_cirrus", {"vendor": None}, "Value error, `vendor` goes with source ret"),
    ],
)
def test_refusals_of_a_section_name_the_section(key, value, message):
    with pytest.raises(ConfigError) as caught:
        changed(nested(key, value))
    # Not its whole content: what is wrong is how two of its keys fit together.
    assert f"{key}: {message}" in str(caught.value)
    assert "'title'" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"rows": [{"title": "a"}]}, "tables.II.rows.0: .* either `method` or `methods`"),
        (
            {"rows": [{"title": "a", "method": "vit", "methods": {"Cirrus": "vit"}}]},
            "tables.II.rows.0: .* either `method` or `methods`",
        ),
        (
            {"rows": [{"title": "a", "method": "unetp"}]},
            r"tables.II.rows\[0\] \(a\).method: unknown name 'unetp'; did you mean 'unetpp'\?",
        ),
        (
            {"rows": [{"title": "a", "method": "vit", "dataset": "isic2017"}]},
            r"rows\[0\] \(a\): the row gives data set isic2017 and column group 'Cirrus' gives "
            "retouch_cirrus; exactly one of them must",
        ),
        (
            {"columns": [{"title": "x", "metrics": ["ji"]}]},
            r"rows\[0\] .* the row gives data set None and column group 'x' gives None",
        ),
        (
            {"rows": [{"title": "a", "methods": {"Zeiss": "vit"}}]},
            r"rows\[0\] \(a\).methods: unknown name 'Zeiss'. Allowed: Cirrus, Spectralis, Topcon",
        ),
        (
            {"columns": [{"title": "x", "dataset": "isic", "metrics": ["ji"]}]},
            r"tables.II.columns\[x\]: unknown name 'isic'",
        ),
        (
            {"columns": [{"title": "x", "metrics": ["auc"]}]},
            "tables.II.columns.0.metrics.0: found 'auc'; .*'ji', 'dsc', 'acc', 'sen' or 'spe'",
        ),
        ({"rows": []}, "tables.II: a results table needs `rows` and `columns`"),
        ({"kind": "datasets"}, "tables.II: a data set summary needs `datasets`"),
        ({"compare_within": ["vendor"]}, "tables.II.compare_within.0: found 'vendor'"),
    ],
)
def test_tables_are_checked_against_the_rest(table, expected):
    with pytest.raises(ConfigError, match=expected):
        changed({"tables": {"II": table}})


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (100, "found 100, which unetpp cannot take; allowed: multiples of 32, at least 32"),
        (64, "found 64, which inceptionv3 cannot take; allowed: at least 75"),
        (16, "found 16, which resformer_seq cannot take; allowed: multiples of 16, at least 32"),
    ],
)
def test_a_size_that_a_network_cannot_take_is_refused(size, expected):
    with pytest.raises(ConfigError) as caught:
        changed(nested("datasets.isic2017.image_size", size))
    assert f"datasets.isic2017.image_size: {expected}" in str(caught.value)


def test_a_size_matters_only_to_methods_that_are_made():
    select = {"methods": ["efficientnet"]}
    config = changed({"select": select, **nested("datasets.isic2017.image_size", 100)})
    assert config.datasets["isic2017"].image_size == 100


def test_the_number_of_class_weights_is_the_number_of_labels_and_is_told_once_per_data_set():
    with pytest.raises(ConfigError) as caught:
        changed(nested("training.loss.class_weights", [1, 2]))
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert "class_weights for retouch_cirrus: found 2 weights; expected one for each" in lines[0]
    assert "irf, srf, ped" in lines[0]


def test_a_selection_that_leaves_nothing_is_refused():
    with pytest.raises(ConfigError, match="select: no table has a cell left"):
        changed({"select": {"datasets": ["retouch_cirrus"], "methods": ["vit"]}})


def test_all_problems_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        changed({"training": {"epochs": 0, "batch_size": 0}, "seeds": []})
    assert len(str(caught.value).splitlines()) == 3


def test_a_missing_key_is_named(repo):
    raw = load_raw()
    del raw["training"]["power"]
    with pytest.raises(ConfigError, match=r"^here: training.power: this key is missing$"):
        resolve(raw, "here")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a list", "expected a mapping of keys, found list"),
        ("preset: [unclosed", "not valid YAML: (?s:.*)line 1"),
        ("", "expected a mapping of keys, found NoneType"),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, expected):
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=f"broken.yaml: {expected}"):
        load_config(file)


def test_a_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml: no such file; run from the repository root"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"unetpp": {"pretrained": "absent.pth"}},
            "methods.unetpp.pretrained: found 'absent.pth', and there is no such file; expected "
            "none, the path of a .safetensors or .pth file, or hub: and a name of timm's hub",
        ),
        (
            {"autosmim": {"pretrained": "hub:tf_efficientnetv2_s.in1k"}},
            "but autosmim starts from its own `pretraining`; expected none, or set pretraining",
        ),
        (
            {"unetpp": {"tables": ["VIX"]}},
            "methods.unetpp.tables: unknown name 'VIX'; did you mean",
        ),
        ({"unetpp": {"tables": ["I"]}}, "methods.unetpp.tables: unknown name 'I'"),
        (
            {"unetpp": {"control": "oracle"}},
            "a method needs either `module` or `control`, and not both",
        ),
        (
            {"control_prior": {"control": "prior"}},
            "methods.control_prior.control: found 'prior'; Input should be 'oracle', 'class_prior'",
        ),
        (
            {"unetpp": {"native": {"source": "x", "training": {"lr": 1}}}},
            "methods.unetpp.native.training: lr: unknown name 'lr'",
        ),
        (
            {"unetpp": {"native": {"source": "x", "training": {}, "options": {"depth": 1}}}},
            "methods.unetpp.native.options: unknown name 'depth'",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_of_a_method_is_named(entry, message):
    with pytest.raises(ConfigError) as caught:
        changed({"methods": entry})
    assert message in str(caught.value)
