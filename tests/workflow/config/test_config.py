"""The configuration: the paper's values, what overrides what, the schema, where raw data lies."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from snakemake.cli import parse_config

from tests.workflow.config.config_changes import changed, of_preset
from workflow.config import cells, paths
from workflow.config.errors import merge
from workflow.config.load import load_config, load_raw
from workflow.config.schema import FILE, schema
from workflow.running.step import read_config

PRESETS = ("demo", "everything", "demo_long", "smoke", "paper", "released", "isic256", "isic96")
# (data set, method) pairs of each preset while 16 methods are configured.
PAIRS = {  # the paper's 93, and four controls on four data sets; `released` has two networks more
    "demo": 19,
    "everything": 93 + 16,
    "demo_long": 93 + 16,
    "paper": 93 + 16,
    "released": 93 + 16 + 8,
    "smoke": 12,
    "isic256": 7,
    "isic96": 28,
}
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


def from_command_line(*entries):
    return load_config(overrides=parse_config(entries))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_loads(preset):
    config = of_preset(preset)
    assert config.preset == preset
    assert str(config.results) == f"results/{preset}"
    assert config.demo == (preset in {"demo", "everything", "demo_long", "smoke"})
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


def test_five_seeds_of_93_pairs_are_465_runs_of_the_paper():
    config = of_preset("paper")
    of_the_paper = [run for run in cells.runs(config) if not run.method.startswith("control_")]
    assert len(of_the_paper) * len(config.seeds) == 465


def test_overrides_win_over_the_preset_which_wins_over_the_file():
    assert load_config(overrides={"preset": "paper"}).training.epochs == 100
    assert load_config(overrides={"preset": "everything"}).training.epochs == 1
    changed = {"preset": "everything", "training": {"epochs": 3}}
    config = load_config(overrides=changed)
    assert config.training.epochs == 3
    # Neighbouring keys keep what the preset and the file say.
    assert (config.training.max_steps, config.training.batch_size) == (2, 8)


def test_a_method_that_names_another_module_leaves_the_options_of_the_first():
    entry = load_config(overrides={"methods": {"resformer_par": {"module": "baselines.gende"}}})
    assert entry.methods["resformer_par"].options == {}
    assert load_config().methods["resformer_par"].options == {"mode": "parallel"}
    same = {"methods": {"resformer_par": {"module": "resformer.model", "options": {"dfe": False}}}}
    assert load_config(overrides=same).methods["resformer_par"].options == {
        "mode": "parallel",
        "dfe": False,
    }


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
    learned = {name: entry for name, entry in changed({}).methods.items() if entry.module}
    assert len(learned) == len(changed({}).methods) - 3  # controls have no network
    for name, method in learned.items():
        module = importlib.import_module(method.module)
        constants = (module.SIZE_MULTIPLE, module.MINIMUM_SIZE)
        assert (method.sizes.multiple_of, method.sizes.minimum) == constants, name


@pytest.mark.parametrize("source", ["retouch", "isic2017"])
class TestRawFolder:
    def test_phantom_data_lies_in_the_results(self, source):
        found = paths.raw_dir(of_preset("demo"), source)
        assert found == Path("results/demo/raw") / source / "original"

    def test_the_key_wins_over_the_variable(self, source, monkeypatch):
        monkeypatch.setenv(f"{source.upper()}_DIR", "from-variable")
        assert paths.raw_dir(of_preset("paper"), source) == Path("from-variable")
        config = load_config(
            overrides={"preset": "paper", "data": {f"{source}_dir": "from-key"}},
        )
        assert paths.raw_dir(config, source) == Path("from-key")

    def test_without_either_it_is_in_the_store_that_presets_share(self, source, monkeypatch):
        monkeypatch.delenv(f"{source.upper()}_DIR", raising=False)
        expected = Path("results/store") / source / "original"
        assert paths.raw_dir(of_preset("paper"), source) == expected
        assert paths.raw_dir(of_preset("released"), source) == expected


def test_the_dag_needs_neither_torch_nor_pandas(repo):
    program = (
        "import sys, workflow.config.load, workflow.config.cells, workflow.config.paths,"
        " workflow.running.fingerprint,"
        " workflow.running.locks, workflow.running.launch, workflow.config.schema\n"
        "config = workflow.config.load.load_config()\n"
        "runs = workflow.config.cells.runs(config)\n"
        "workflow.running.fingerprint.run_fingerprint(config, *runs[0])\n"
        "heavy = {'torch', 'pandas', 'numpy', 'matplotlib', 'timm'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(repo)}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=repo, env=environment)
