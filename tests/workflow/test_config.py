"""The configuration: the paper's values, precedence, and refusals that say what to do."""

import copy
import functools
import importlib
import json
import math
import os
import subprocess
import sys

import jsonschema
import pytest
import yaml
from snakemake.cli import parse_config

from workflow import cells
from workflow.config import load_config, load_raw, resolve
from workflow.config_errors import ConfigError, merge
from workflow.schema import FILE, schema
from workflow.step import read_config

PRESETS = ("demo", "smoke", "paper", "released", "isic256")
# (data set, method) pairs of each preset while 16 methods are configured.
PAIRS = {"demo": 47, "paper": 47, "released": 55, "smoke": 12, "isic256": 4}
# What sections III-C and IV of the paper say.
PAPER = {
    "training.epochs": 100,
    "training.batch_size": 8,
    "training.learning_rate": 0.003,
    "training.betas": (0.9, 0.999),
    "training.weight_decay": 1e-4,
    "training.loss.classification": 0.25,
    "training.loss.segmentation": 1.0,
    "training.loss.focal": 0.0,
    "training.checkpoint": "loss",
    "training.validation": "val",
    "training.max_steps": None,
    "seeds": [0, 1, 2, 3, 4],
    "data.origin": "local",
    "datasets.retouch_cirrus.image_size": 512,
    "datasets.retouch_spectralis.image_size": 512,
    "datasets.retouch_topcon.image_size": 512,
    "datasets.retouch_topcon.slice_step": 1,
    "datasets.isic2017.image_size": 224,
    "datasets.isic2017.split": "official",
    "statistics.decimals": 1,
}


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch, repo):
    monkeypatch.chdir(repo)


def at(config, key):
    value = config
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


@functools.cache
def of_preset(name):
    return load_config(overrides={"preset": name})


@functools.cache
def _demo():
    return load_raw()


def changed(changes):
    """What `load_config(overrides=changes)` gives, without parsing the file each time."""
    if "preset" in changes:
        return load_config(overrides=changes)
    return resolve(merge(copy.deepcopy(_demo()), changes), "config.yaml")


def from_command_line(*entries):
    return load_config(overrides=parse_config(entries))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_loads(preset):
    config = of_preset(preset)
    assert config.preset == preset
    assert str(config.results) == f"results/{preset}"
    assert config.demo == (preset in {"demo", "smoke"})
    assert len(cells.runs(config)) == PAIRS[preset]


def test_no_preset_is_forgotten_here():
    assert set(load_config().presets) == set(PRESETS)
    assert load_config().preset == "demo"


@pytest.mark.parametrize("key", PAPER)
def test_paper_preset_is_the_paper(key):
    assert at(of_preset("paper"), key) == PAPER[key]


def test_released_preset_differs_where_the_released_code_does():
    config = of_preset("released")
    oct_run, isic_run = (
        config.training_for(dataset, "resformer_seq_released")
        for dataset in ("retouch_spectralis", "isic2017")
    )
    assert (oct_run.learning_rate, isic_run.learning_rate) == (1e-4, 7e-5)
    assert oct_run.loss.class_weights == [0.43, 0.30, 0.27]
    assert isic_run.loss.class_weights == [1.78, 2.62, 0.49]
    assert (oct_run.loss.focal, isic_run.loss.focal, oct_run.loss.focal_gamma) == (1.0, 0.0, 2.0)
    for run in (oct_run, isic_run):
        assert (run.epochs, run.batch_size, run.weight_decay) == (150, 8, 3e-5)
        assert (run.schedule, run.power, run.normalize) == ("polynomial", 0.9, "none")
        assert (run.checkpoint, run.validation) == ("ji", "test")
        assert run.augmentation.model_dump() == {
            "rotation": 25,
            "horizontal_flip": 0.5,
            "vertical_flip": 0.0,
        }


def test_five_seeds_of_47_pairs_are_235_runs():
    config = of_preset("paper")
    assert len(cells.runs(config)) * len(config.seeds) == 235


def test_overrides_win_over_the_preset_which_wins_over_the_file():
    assert load_config(overrides={"preset": "paper"}).training.epochs == 100
    assert load_config(overrides={"preset": "demo"}).training.epochs == 1
    changed = {"preset": "demo", "training": {"epochs": 3}}
    config = load_config(overrides=changed)
    assert config.training.epochs == 3
    # Neighbouring keys keep what the preset and the file say.
    assert (config.training.max_steps, config.training.batch_size) == (12, 8)


def test_a_run_takes_the_common_then_the_data_sets_then_the_methods_protocol():
    changes = {
        "training": {"learning_rate": 0.1, "power": 2.0},
        "datasets": {"isic2017": {"training": {"learning_rate": 0.2, "loss": {"focal": 0.5}}}},
        "methods": {"vit": {"training": {"learning_rate": 0.3}}},
    }
    config = load_config(overrides=changes)
    rates = {
        run: config.training_for(*run).learning_rate
        for run in [("retouch_cirrus", "unetpp"), ("isic2017", "unetpp"), ("isic2017", "vit")]
    }
    assert list(rates.values()) == [0.1, 0.2, 0.3]
    merged = config.training_for("isic2017", "vit")
    assert (merged.loss.focal, merged.loss.classification) == (0.5, 0.25)
    assert (merged.power, merged.warmup) == (2.0, 0.05)


@pytest.mark.parametrize(
    ("entry", "key", "expected"),
    [
        ("seeds=[0]", "seeds", [0]),
        ("seeds=[3, 1]", "seeds", [3, 1]),
        ("preset=paper", "preset", "paper"),
        ("training={learning_rate: 0.1}", "training.learning_rate", 0.1),
        ("training={learning_rate: 1e-4}", "training.learning_rate", 1e-4),
        ("training={epochs: 3}", "training.epochs", 3),
        ("training={max_steps: null}", "training.max_steps", None),
        ("training={gradient_clip: 1}", "training.gradient_clip", 1.0),
        ("training={betas: [0.5, 0.9]}", "training.betas", (0.5, 0.9)),
        ("training={loss: {class_weights: [1, 2, 3]}}", "training.loss.class_weights", [1, 2, 3]),
        ("training={loss: {class_weights: none}}", "training.loss.class_weights", "none"),
        ("select={datasets: [isic2017]}", "select.datasets", ["isic2017"]),
        ("tables={II: {enabled: false}}", "tables.II.enabled", False),
        (
            "methods={vit: {training: {learning_rate: 0.01}}}",
            "methods.vit.training.learning_rate",
            "0.01",
        ),
    ],
)
def test_what_snakemakes_command_line_gives(entry, key, expected):
    assert at(from_command_line(entry), key) == expected


def test_options_from_the_command_line_have_types_not_strings():
    options = "{dfe: false, conv_depths: [1, 1, 1, 1], window_size: null, upsample: transposed}"
    config = from_command_line(f"methods={{resformer_seq: {{options: {options}}}}}")
    assert config.methods["resformer_seq"].options == {
        "mode": "sequential",
        "dfe": False,
        "conv_depths": [1, 1, 1, 1],
        "window_size": None,
        "upsample": "transposed",
    }


def test_a_string_override_of_a_method_reaches_the_run_as_a_number():
    config = from_command_line("methods={vit: {training: {learning_rate: 0.01}}}")
    assert config.training_for("isic2017", "vit").learning_rate == 0.01


# key, value, what the message says: the key, what was found, what is allowed
BAD = [
    ("preset", "papr", "found 'papr'; allowed: demo, smoke, paper, released, isic256"),
    ("preset", ["demo"], "found ['demo']; allowed: demo, smoke, paper, released, isic256"),
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
    ("training.loss.sum", 1, "unknown name 'sum'. Allowed: class_weights, classification, dice"),
    ("training.epochs", 0, "found 0; Input should be greater than 0"),
    ("training.epochs", "3.5", "found '3.5'; Input should be a valid integer"),
    ("training.batch_size", 1, "found 1; Input should be greater than or equal to 2"),
    ("training.learning_rate", 0, "found 0; Input should be greater than 0"),
    ("training.learning_rate", math.inf, "found inf; Input should be a finite number"),
    ("training.betas.1", [0.9, 1.0], "found 1.0; Input should be less than 1"),
    ("training.betas.1", [0.9], "this key is missing"),
    ("training.warmup", 2, "found 2; Input should be less than or equal to 1"),
    ("training.schedule", "step", "found 'step'; Input should be 'polynomial', 'cosine' or 'con"),
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
    ("datasets.isic2017.split", "balanced", "found 'balanced'; allowed: official, or the path of"),
    ("datasets.retouch_topcon.split", "x.csv", "found 'x.csv'; allowed: balanced, or the path of"),
    ("datasets.retouch_cirrus.vendor", "Zeiss", "found 'Zeiss'; Input should be 'Cirrus', 'Spec"),
    ("datasets.isic2017.labels", ["nevus"] * 2, "found ['nevus', 'nevus']; Value error, each val"),
    ("datasets.isic2017.slice_step", 0, "found 0; Input should be greater than 0"),
    ("methods.unetpp.module", "unetpp", "found 'unetpp'; String should match pattern"),
    ("methods.unetpp.module", "baselines.no", "found 'baselines.no', but there is no such file; "),
    ("methods.unetpp.tasks.0", ["detect"], "found 'detect'; Input should be 'segmentation' or 'c"),
    ("methods.unetpp.sizes.multiple_of", 0, "found 0; Input should be greater than 0"),
    ("methods.unetpp.optons", {}, "unknown name 'optons'; did you mean 'options'? Allowed: mod"),
    ("evaluation.threshold", 1.5, "found 1.5; Input should be less than or equal to 1"),
    ("evaluation.decision", "argmax", "found 'argmax'; Input should be 'sigmoid' or 'softmax'"),
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
            {"loss": {"dice": 1}},
            "loss.dice: unknown name 'dice'. Allowed: class_weights, classification, dice_smooth",
        ),
        ("datasets.isic2017", {"vendor": "Cirrus"}, "found {'title': 'ISIC 2017', 'source': "),
        ("datasets.isic2017", {"vendor": "Cirrus"}, None),
        ("datasets.retouch_cirrus", {"vendor": None}, None),
    ],
)
def test_refusals_of_a_section_name_the_section(key, value, message):
    with pytest.raises(ConfigError) as caught:
        changed(nested(key, value))
    assert f"{key}: {message or 'found {'}" in str(caught.value)
    assert message or "`vendor` goes with source retouch, and only with it" in str(caught.value)


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


def test_layers_merge_by_key_and_lists_are_replaced():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    layer = {"a": {"c": [3], "e": 2}, "d": {"f": 1}}
    assert merge(base, layer) == {"a": {"b": 1, "c": [3], "e": 2}, "d": {"f": 1}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_values_cannot_change_after_loading():
    config = changed({})
    with pytest.raises(ValueError, match="frozen"):
        config.training.epochs = 5


def test_a_job_reads_what_the_snakefile_wrote(tmp_path):
    overrides = parse_config(["preset=released", "seeds=[2]", "training={max_steps: null}"])
    raw = load_raw(overrides=overrides)
    (tmp_path / "config.json").write_text(json.dumps(raw))
    assert read_config(tmp_path / "config.json") == load_config(overrides=overrides)


def test_the_committed_schema_is_the_generated_one():
    assert FILE.read_text(encoding="utf-8") == schema()


@pytest.mark.parametrize("preset", PRESETS)
def test_the_schema_accepts_every_preset(preset):
    config = of_preset(preset)
    jsonschema.validate(config.model_dump(mode="json"), json.loads(schema()))


def test_the_schema_accepts_the_file_that_editors_check(repo):
    text = yaml.safe_load((repo / "config.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(text, json.loads(schema()))


@pytest.mark.parametrize("change", [("training", "epochs", 0), ("training", "speed", 1)])
def test_the_schema_refuses_what_the_models_refuse(change):
    section, key, value = change
    config = changed({}).model_dump(mode="json")
    config[section][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, json.loads(schema()))


def test_sizes_repeat_the_networks_constants():
    for name, method in changed({}).methods.items():
        module = importlib.import_module(method.module)
        constants = (module.SIZE_MULTIPLE, module.MINIMUM_SIZE)
        assert (method.sizes.multiple_of, method.sizes.minimum) == constants, name


@pytest.mark.parametrize("source", ["retouch", "isic2017"])
class TestRawFolder:
    def test_phantom_data_lies_in_the_results(self, source):
        assert str(of_preset("demo").raw_dir(source)) == f"results/demo/raw/{source}"

    def test_the_key_wins_over_the_variable(self, source, monkeypatch):
        monkeypatch.setenv(f"{source.upper()}_DIR", "from-variable")
        assert str(of_preset("paper").raw_dir(source)) == "from-variable"
        config = load_config(
            overrides={"preset": "paper", "data": {f"{source}_dir": "from-key"}},
        )
        assert str(config.raw_dir(source)) == "from-key"

    def test_without_either_the_error_says_how_to_go_on(self, source, monkeypatch):
        monkeypatch.delenv(f"{source.upper()}_DIR", raising=False)
        with pytest.raises(ConfigError) as caught:
            of_preset("paper").raw_dir(source)
        message = str(caught.value)
        assert f"data.{source}_dir is not set" in message
        assert f"${source.upper()}_DIR" in message
        assert "preset `paper` reads real data" in message
        assert "docs/data.md" in message
        assert "preset=demo" in message


def test_the_dag_needs_neither_torch_nor_pandas(repo):
    program = (
        "import sys, workflow.config, workflow.cells, workflow.fingerprint, workflow.paths,"
        " workflow.locks, workflow.launch, workflow.schema\n"
        "config = workflow.config.load_config()\n"
        "workflow.fingerprint.run_fingerprint(config, *workflow.cells.runs(config)[0])\n"
        "heavy = {'torch', 'pandas', 'numpy', 'matplotlib', 'timm'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(repo)}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=repo, env=environment)
