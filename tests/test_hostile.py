"""Hostile text in each string that reaches the workflow: refused with a message, or harmless.

The strings are those of the configuration, of the environment variables that are read, and of the
names of files. What is accepted stands in a real run of Snakemake, whose shells would carry it out.
`python -m tests.test_hostile` tries every text in every kind of key, and prints what became of it.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.workflow.data.sources.folder_files import save
from tests.workspace import copy_tree, snakemake
from workflow.base.errors import ConfigError, DataError
from workflow.config import paths
from workflow.config.load import load_config, load_raw, resolve
from workflow.data import make
from workflow.data.inventory import read_inventory

MARK = "PWNED"
HOSTILE = [
    f"x$(touch {MARK})",
    f"x`touch {MARK}`",
    f"x; touch {MARK} #",
    f"x' && touch {MARK} '",
    f'x" && touch {MARK} "',
    f"x\ntouch {MARK}",
    f"x | tee {MARK}",
    f"../../../{MARK}",
    f"--config={MARK}",
    "-rf",
    "*",
    "a b",
    "{wildcards.dataset} {0} {nobody}",
    "{{braces}} %s %(x)s $HOME",
    "=1+1",
]
# What acts on who reads it; no key takes it.
ACTING = [
    "a\x1b[2Jb",
    "a\x00b",
    "a\x7fb",
    "a\u202egnp.exe",
    "a\u2028b",
    "a\ufeffb",
    "a\x9bb",
    "a\rb",
]
# Keys of which the words are a person's own; `*` stands for a name or a place in a list.
FREE = {
    "data.store",
    "datasets.*.title",
    "figures.*.caption",
    "methods.*.native.source",
    "methods.*.title",
    "tables.*.caption",
    "tables.*.rows.*.group",
    "tables.*.rows.*.title",
}
NAMED = {"datasets", "methods", "tables", "figures", "presets"}
Key = tuple[str | int, ...]


def strings(value: Any, key: Key = ()) -> Iterator[tuple[Key, str]]:
    """Every string of plain values, with its place."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        if isinstance(item, str):
            yield (*key, name), item
        elif isinstance(item, dict | list):
            yield from strings(item, (*key, name))


def kind_of(key: Key) -> str:
    """The place without the names that the configuration gives itself."""
    named = key[0] in NAMED
    return ".".join(
        "*" if isinstance(part, int) or (named and n == 1) else part for n, part in enumerate(key)
    )


def put(changed: Any, key: Key, text: str) -> None:
    for part in key[:-1]:
        changed = changed[part]
    changed[key[-1]] = text


def replaced(raw: dict[str, Any], key: Key, text: str) -> dict[str, Any]:
    changed = json.loads(json.dumps(raw))
    put(changed, key, text)
    return changed


@pytest.fixture(scope="module")
def raw(repo) -> dict[str, Any]:
    layers = load_raw(repo / "config.yaml", {"preset": "smoke"})
    # What other presets say takes no part; their names do.
    return {**layers, "notice": "a notice", "presets": {name: {} for name in layers["presets"]}}


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch, repo):
    monkeypatch.chdir(repo)


def test_what_acts_on_a_reader_is_refused_wherever_it_stands(raw):
    """All keys at once: each is named with the character's number, and nothing of it is printed."""
    places = list(strings(raw))
    assert len(places) > 500
    changed = json.loads(json.dumps(raw))  # what stands twice is one value no longer
    for number, (key, _) in enumerate(places):
        put(changed, key, ACTING[number % len(ACTING)])
    with pytest.raises(ConfigError) as error:
        resolve(changed, "config.yaml")
    lines = str(error.value).splitlines()
    assert len(lines) == len(places)
    for line, (key, _) in zip(lines, places, strict=True):
        assert line.startswith(f"config.yaml: {'.'.join(map(str, key))}: found 'a\\")
        assert line.isprintable()


@pytest.mark.parametrize("text", ["x\x1b[2J", "x\u202e"])
def test_a_name_that_acts_is_refused_too(raw, text):
    with pytest.raises(ConfigError, match=r"methods\.x\\"):
        resolve({**raw, "methods": {**raw["methods"], text: {}}}, "config.yaml")


def refusal(raw: dict[str, Any]) -> str | None:
    """What is said of a configuration that cannot be used."""
    try:
        resolve(raw, "config.yaml")
    except ConfigError as error:
        return str(error)
    return None


def test_each_kind_of_key_refuses_what_it_does_not_mean(raw):
    kinds: dict[str, Key] = {}
    for key, _ in strings(raw):
        kinds.setdefault(kind_of(key), key)
    taken = set()
    for number, (kind, key) in enumerate(kinds.items()):
        text = HOSTILE[number % len(HOSTILE)]
        said = refusal(replaced(raw, key, text))
        if said is None:
            taken.add(kind)
        else:
            assert said.startswith("config.yaml: ")
            assert repr(text)[1:-1].split("\\")[0] in said
    assert taken - {"tables.*.columns.*.title", "notice"} <= FREE


@pytest.mark.parametrize("text", HOSTILE)
def test_names_that_become_paths_and_rules_keep_to_a_pattern(raw, text):
    for section in ("datasets", "methods", "tables", "figures"):
        entry = next(iter(raw[section].values()))
        with pytest.raises(ConfigError, match="should match pattern"):
            resolve({**raw, section: {**raw[section], text: entry}}, "config.yaml")
    changed = {**raw, "preset": text, "presets": {**raw["presets"], text: {}}}
    with pytest.raises(ConfigError, match=r"preset: found .*should match pattern"):
        resolve(changed, "config.yaml")


def free_everywhere(raw: dict[str, Any]) -> dict[str, Any]:
    """A hostile text in all strings that are a person's own, another one in each."""
    names = ("datasets", "methods", "tables", "figures")
    changed = json.loads(json.dumps({key: raw[key] for key in names}))
    count = 0
    for key, _ in list(strings(changed)):
        if kind_of(key) in FREE:
            put(changed, key, f"{HOSTILE[count % len(HOSTILE)]} {count}")
            count += 1
    assert count > 100
    return {**changed, "notice": " ".join(HOSTILE)}


def environment(folder: Path) -> dict[str, str]:
    """Hostile text in each variable that is read; those that name folders name some that exist."""
    hostile = folder / f"$(touch {MARK}) `touch {MARK}` {{x}} '\" -rf *"
    hostile.mkdir(parents=True, exist_ok=True)
    return {
        "RETOUCH_DIR": str(hostile),
        "ISIC2017_DIR": str(hostile),
        "XDG_CACHE_HOME": str(hostile),
        "TMPDIR": str(hostile),
        "CUDA_VISIBLE_DEVICES": HOSTILE[0],
        "RESFORMER_WARM_SERVER": HOSTILE[3],
        "RESFORMER_JOBS_PER_GPU": "1",
        "CXX": HOSTILE[1],
        "CC": HOSTILE[2],
        "SLURMD_NODENAME": HOSTILE[4],
    }


def nothing_was_carried_out(*folders: Path) -> bool:
    return not [file for folder in folders for file in folder.rglob(f"*{MARK}") if file.is_file()]


def test_a_run_carries_nothing_out(raw, tmp_path):
    """Real steps, in real shells, with all that is accepted and all variables that are read."""
    tree = copy_tree(tmp_path / "tree")
    (tree / "hostile.json").write_text(json.dumps(free_everywhere(raw)))
    given = ["--configfile", "hostile.json", "--config", "preset=smoke"]
    targets = ["plan", "results/smoke/data/isic2017/split.csv"]
    done = snakemake(tree, *given, "--", *targets, **environment(tmp_path / "places"))
    assert done.returncode == 0, done.stdout[-4000:]
    assert nothing_was_carried_out(tmp_path)
    # All of the DAG: tables, figures and captions with braces.
    done = snakemake(tree, *given, "-n", "--quiet", **environment(tmp_path / "places"))
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Traceback" not in done.stdout


def test_folders_of_raw_files_may_be_called_anything(tmp_path):
    tree = copy_tree(tmp_path / "tree")
    select = "select={datasets: [retouch_spectralis], methods: [unetpp]}"
    given = ["--config", "preset=paper", select, "-n", "--quiet"]
    done = snakemake(tree, *given, **environment(tmp_path / "places"))
    assert "Traceback" not in done.stdout
    assert done.returncode == 0, done.stdout[-4000:]
    assert nothing_was_carried_out(tmp_path)


@pytest.mark.parametrize("preset", ["x$(touch PWNED)", "../../../escape"])
def test_a_preset_on_the_command_line_is_no_command(preset, tmp_path):
    tree = copy_tree(tmp_path / "tree")
    (tree / "more.json").write_text(json.dumps({"presets": {preset: {}}, "preset": preset}))
    done = snakemake(tree, "--configfile", "more.json", "-n")
    assert done.returncode == 1
    assert "preset: found" in done.stdout
    assert "should match pattern" in done.stdout
    assert "Traceback" not in done.stdout
    assert nothing_was_carried_out(tmp_path)


# Names of files that systems allow. `/` cannot be in one.
FILES = [text.replace("\n", " ") for text in HOSTILE if "/" not in text]
FILES += ["@cmd", "+1+1", "é", "-5", "~", "%s", "a|b", "NUL"]


def folder_config(folder: Path, root: Path):
    for place in ("images", "masks"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    return load_config(
        root / "config.yaml",
        {
            "preset": "smoke",
            "data": {"origin": "local"},
            "datasets": {
                "own": {
                    "title": "Own",
                    "source": "folder",
                    "folder": {
                        "images": str(folder / "images"),
                        "masks": str(folder / "masks"),
                        "mask_values": [255],
                        "color": False,
                    },
                    "image_size": 32,
                    "lesions": ["lesion"],
                    "labels": ["lesion"],
                    "split": "kfold 1/3",
                }
            },
            "select": {"datasets": ["isic2017"], "methods": ["unetpp"]},
        },
    )


def test_images_may_be_called_anything(tmp_path, monkeypatch, repo):
    config = folder_config(tmp_path / "raw", repo)
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(FILES):
        pixels = np.full((40, 40), number, np.uint8)
        save(tmp_path / "raw" / "images" / f"{name}.png", pixels)
        mask = np.zeros((40, 40), np.uint8)
        mask[: 10 + number, :10] = 255 if number % 2 else 0
        Image.fromarray(mask).save(tmp_path / "raw" / "masks" / f"{name}.png")
    for step in ("raw", "inventory", "split", "prepare"):
        make.STEPS[step](config, "own")
    folder = paths.prepared(config, "own")
    assert set(read_inventory(folder)["id"]) == set(FILES)
    # No cell is a formula to a spreadsheet, and numbers stay numbers.
    cells = (folder / "inventory.csv").read_text().replace('"', "").splitlines()
    assert [line for line in cells if line.startswith("-5,")]
    assert not [line for line in cells if line.startswith(("=", "+", "@", "-r", "--"))]
    assert nothing_was_carried_out(tmp_path)


@pytest.mark.parametrize("name", ["a\x1b[2J", "a\nb", "a\u202egnp", "a\x7f"])
def test_a_name_that_cannot_be_read_is_refused(tmp_path, monkeypatch, repo, name):
    config = folder_config(tmp_path / "raw", repo)
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "raw" / "images" / f"{name}.png", np.zeros((40, 40), np.uint8))
    save(tmp_path / "raw" / "masks" / f"{name}.png", np.zeros((40, 40), np.uint8))
    make.STEPS["raw"](config, "own")
    with pytest.raises(DataError) as error:
        make.STEPS["inventory"](config, "own")
    assert "rename it with printable characters" in str(error.value)
    assert str(error.value).isprintable()


def test_a_command_prints_nothing_that_acts(tmp_path, repo):
    """Of a record that somebody else wrote."""
    said = subprocess.run(
        [sys.executable, "-m", "workflow", "status", "a\x1b[2Jb\u202e"],
        cwd=repo,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 2
    assert "\x1b" not in said.stdout + said.stderr
    assert "\\x1b" in said.stderr


def main() -> None:
    """Try every text in every kind of key, and print how many were refused and which taken."""
    layers = load_raw("config.yaml", {"preset": "smoke"})
    layers |= {"notice": "a notice", "presets": {name: {} for name in layers["presets"]}}
    kinds: dict[str, Key] = {}
    for key, _ in strings(layers):
        kinds.setdefault(kind_of(key), key)
    for title, texts in (("commands and paths", HOSTILE), ("characters that act", ACTING)):
        taken = Counter(
            kind
            for kind, key in kinds.items()
            for text in texts
            if refusal(replaced(layers, key, text)) is None
        )
        tried = len(kinds) * len(texts)
        sys.stdout.write(
            f"{title}: {len(texts)} texts in {len(kinds)} kinds of keys, {tried} tried, "
            f"{tried - taken.total()} refused, {taken.total()} taken as text"
            f"{': ' if taken else ''}{', '.join(sorted(taken))}\n"
        )


if __name__ == "__main__":
    main()
