"""How configuration layers merge, and how what is wrong in them is told to a person."""

import difflib
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def merge(base: dict[str, Any], layer: dict[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `layer` over it; mappings merge key by key, all else is replaced."""
    merged = dict(base)
    for key, value in layer.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def unknown(key: str, allowed: Iterable[str]) -> str:
    """What to say of a name that does not exist: the nearest one, then all that do."""
    names = sorted(allowed)
    close = difflib.get_close_matches(key, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"unknown name {key!r}{hint} Allowed: {', '.join(names)}"


def describe(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """One line per problem of a pydantic error: file, key, what was found, what is allowed."""
    lines: list[str] = []
    for problem in error.errors():
        location = [part for part in problem["loc"] if not _is_branch(part)]
        key = ".".join(str(part) for part in location)
        if problem["type"] == "extra_forbidden":
            allowed = _fields_at(model, location[:-1])
            lines.append(f"{where}: {key}: {unknown(str(location[-1]), allowed)}")
        elif problem["type"] == "missing":
            lines.append(f"{where}: {key}: this key is missing")
        elif isinstance(problem["input"], dict | BaseModel):  # a section: its text says nothing
            lines.append(f"{where}: {key}: {problem['msg']}")
        else:
            lines.append(f"{where}: {key}: found {problem['input']!r}; {problem['msg']}")
    return "\n".join(dict.fromkeys(lines))


def _is_branch(part: str | int) -> bool:
    """Whether pydantic put this into the location to name a branch of a union, not a key."""
    branches = {"function-after", "int", "float", "constrained-float"}
    return isinstance(part, str) and ("[" in part or part in branches)


def _fields_at(model: type[BaseModel], location: list[str | int]) -> list[str]:
    """The keys allowed at a location, following sections, mappings and lists of sections."""
    current: type[BaseModel] = model
    for part in location:
        field = current.model_fields.get(str(part))
        if field is None:
            continue  # a name of a mapping or an index of a list: the section inside is `current`
        sections = [a for a in _leaves(field.annotation) if issubclass(a, BaseModel)]
        if sections:
            current = sections[0]
    return list(current.model_fields)


def _leaves(annotation: Any) -> list[type]:
    arguments = get_args(annotation)
    if not arguments:
        return [annotation] if isinstance(annotation, type) else []
    return [leaf for argument in arguments for leaf in _leaves(argument)]
