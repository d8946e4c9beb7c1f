"""Reads `config.yaml`: file, preset, `--configfile` and `--config`, merged and checked.

`load_config` merges the four layers and validates the result. Every error names the key, the value
found and what is allowed. Nothing here imports torch: the DAG is built from this module, so it has
to load at once.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from workflow.base.errors import ConfigError
from workflow.base.files import read_yaml
from workflow.base.plain import hidden, plain
from workflow.config.checks import cross_check
from workflow.config.errors import describe, merge
from workflow.config.model import Config
from workflow.config.sections import Row


def load_config(
    path: str | Path = "config.yaml", overrides: dict[str, Any] | None = None
) -> Config:
    """Merge file, preset and overrides, and validate the result.

    Args:
        path: the configuration file.
        overrides: nested keys that win over file and preset (what `--configfile` and `--config`
            gave); the string `null` stands for None, as on Snakemake's command line.

    Returns:
        The resolved configuration.

    Raises:
        ConfigError: naming each offending key, the value found and what is allowed.
    """
    return resolve(load_raw(path, overrides), str(path))


def load_raw(
    path: str | Path = "config.yaml", overrides: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The merged but unvalidated layers, as plain data.

    Raises:
        ConfigError: the file is missing or is not a mapping, or the preset is unknown.
    """
    path = Path(path)
    given: dict[str, Any] = _typed(overrides or {})
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; run from the repository root")
    try:
        base = read_yaml(path)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(base, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(base).__name__}")
    presets = merge(base.get("presets", {}), given.get("presets", {}))
    preset = given.get("preset", base.get("preset"))
    if not isinstance(preset, str) or preset not in presets:
        raise ConfigError(f"preset: found {preset!r}; allowed: {', '.join(presets)}")
    return _over(_over(base, presets[preset]), given)


def anchored(raw: dict[str, Any], root: Path) -> dict[str, Any]:
    """The layers with each file that is not in the working folder named as it lies in another.

    So the workflow can run in a folder of its own (`snakemake --directory`) with the records and
    splits of a clone that cannot be written to.

    Args:
        raw: the merged layers.
        root: the clone.
    """

    def found(value: Any) -> Any:
        if not isinstance(value, str) or Path(value).exists() or not (root / value).is_file():
            return value
        return str(root / value)

    data = raw.get("data")
    if isinstance(data, dict):
        data = {k: found(v) if str(k).endswith("_record") else v for k, v in data.items()}
        raw = {**raw, "data": data}
    for section, keys in (("datasets", ("split", "duplicates")), ("methods", ("pretrained",))):
        if isinstance(entries := raw.get(section), dict):
            named = {
                name: {k: found(v) if k in keys else v for k, v in entry.items()}
                if isinstance(entry, dict)
                else entry
                for name, entry in entries.items()
            }
            raw = {**raw, section: named}
    return raw


def _over(base: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """Merge a layer; a method that names another module there leaves the old one's options."""
    methods, given = base.get("methods"), layer.get("methods")
    if not isinstance(methods, dict) or not isinstance(given, dict):
        return merge(base, layer)
    kept = dict(methods)
    for name, entry in given.items():
        old = methods.get(name)
        if not isinstance(entry, dict) or not isinstance(old, dict):
            continue
        if entry.get("module", old.get("module")) != old.get("module"):
            kept[name] = {k: v for k, v in old.items() if k not in ("options", "native")}
    return merge({**base, "methods": kept}, layer)


def resolve(raw: dict[str, Any], where: str = "configuration") -> Config:
    """Validate merged layers: first each key, then what keys say of each other.

    Raises:
        ConfigError: as for `load_config`.
    """
    if acting := list(_acting(raw)):
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in acting))
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(describe(error, Config, where)) from None
    _add_rows(config)
    problems = cross_check(config)
    if problems:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in dict.fromkeys(problems)))
    return config


def _acting(value: Any, key: str = "") -> Iterator[str]:
    """Texts with characters that act instead of being read, such as those that move a cursor."""
    if isinstance(value, dict):
        for name, item in value.items():
            at = f"{key}.{plain(str(name))}".lstrip(".")
            yield from _acting(str(name), at)
            yield from _acting(item, at)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _acting(item, f"{key}.{index}")
    elif isinstance(value, str) and (number := hidden(value)):
        yield f"{key}: found {value!r}; expected text that can be read, so take {number} out"


def _add_rows(config: Config) -> None:
    """Give each method that names tables a row in them, below their own, if it has none yet."""
    for name, method in config.methods.items():
        for key in set(method.tables) & set(config.tables):
            rows = config.tables[key].rows
            if all(row.method != name for row in rows):
                rows.append(Row(title=method.title, method=name))


def _typed(value: Any, as_yaml: bool = False) -> Any:
    """Snakemake's `--config` hands YAML scalars over as strings; give them back their meaning.

    Most keys have a type that does it when they are validated. None has no such type, and neither
    have a method's `options`, where the string "false" would count as true.
    """
    if isinstance(value, dict):
        return {key: _typed(item, as_yaml or key == "options") for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item, as_yaml) for item in value]
    if value in ("null", "None"):
        return None
    return yaml.safe_load(value) if as_yaml and isinstance(value, str) else value
