"""The options of a method's network: which its module's `build` takes, and of which type.

The file is parsed and not imported, because importing a network means importing torch. Types are
read from the annotations of `build`, so a value is refused when the configuration is read, and not
hours later by a network.
"""

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from workflow.config.errors import unknown
from workflow.config.model import Config

ROOT = Path(__file__).parents[2]
# What every `build` is given from elsewhere.
SIZES = {"image_size", "n_seg", "n_cls"}
SCALARS: dict[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}
GENERICS: dict[str, Any] = {"tuple": tuple, "list": list, "dict": dict, "Sequence": Sequence}


class NotPython(ValueError):
    """A file cannot be parsed; the message names it and the line."""


def settle_options(config: Config) -> Iterator[str]:
    """What is wrong with methods' modules and options, one line each.

    An option that was given as text and has the type of a number or of true and false gets it: YAML
    keeps `1e-1` as text, and so does the command line.
    """
    for name, method in config.methods.items():
        if method.module is None:
            continue
        file = (ROOT / method.module.replace(".", "/")).with_suffix(".py")
        try:
            taken = options_of(file) if file.is_file() else None
        except NotPython as error:
            yield f"methods.{name}.module: {error}; correct it"
            continue
        if taken is None:
            yield (
                f"methods.{name}.module: found {method.module!r}, but there is no such file with "
                "a function build(); expected a module such as baselines.unetpp"
            )
            continue
        yield from _settled(f"methods.{name}.options", method.options, taken)
        if method.native:
            yield from _settled(f"methods.{name}.native.options", method.native.options, taken)


def options_of(file: Path) -> dict[str, Any] | None:
    """The options that a module's `build` takes, with their types; None if it has no `build`.

    Raises:
        NotPython: the file cannot be parsed.
    """
    status = file.stat()
    return _options_in(file, status.st_mtime_ns, status.st_size)


@cache
def _options_in(file: Path, *_: int) -> dict[str, Any] | None:
    """The options of a file of that time and size: several methods share a module."""
    tree = _parsed(file)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "build":
            named = (*node.args.args, *node.args.kwonlyargs)
            return {a.arg: _type(a.annotation, tree) for a in named if a.arg not in SIZES}
    return None


def _settled(where: str, options: dict[str, Any], taken: dict[str, Any]) -> Iterator[str]:
    for option, value in options.items():
        if option not in taken:
            yield f"{where}: {unknown(option, taken)}"
            continue
        try:
            settled = TypeAdapter(Any).dump_python(_checked(value, taken[option]), mode="json")
        except ValidationError as error:
            # Of a union each branch has its own problem; the first is that of the type meant.
            yield f"{where}.{option}: found {value!r}; {error.errors()[0]['msg']}"
            continue
        if settled != value:
            options[option] = settled


def _checked(value: Any, kind: Any) -> Any:
    """The value as an option's type has it; true and false are no numbers here."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))
    return adapter.validate_python(value, strict=isinstance(value, bool))


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        found = f", found {error.text.strip()!r}" if error.text else ""
        raise NotPython(f"{file}{line}: not valid Python: {error.msg}{found}") from None
    except ValueError as error:  # a null byte
        raise NotPython(f"{file}: not valid Python: {error}") from None


def _type(node: ast.expr | None, tree: ast.Module) -> Any:
    """The type that an annotation names; Any where it is none that a configuration can hold."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return _type(ast.parse(text, mode="eval").body, tree)
        case ast.Name(id=name) if name in SCALARS:
            return SCALARS[name]
        case ast.Name(id=name):
            return _type(_alias(name, tree), tree)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _type(left, tree) | _type(right, tree)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            values = ast.literal_eval(choices)
            return Literal[values if isinstance(values, tuple) else (values,)]
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in GENERICS:
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return GENERICS[name][tuple(_part(part, tree) for part in parts)]
    return Any


def _part(node: ast.expr, tree: ast.Module) -> Any:
    return ... if isinstance(node, ast.Constant) and node.value is ... else _type(node, tree)


def _alias(name: str, tree: ast.Module) -> ast.expr | None:
    """What a module calls by a name of its own, or of another module here."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=known)], value=value) if known == name:
                return value
            case ast.ImportFrom(module=str(module), names=names, level=0):
                file = (ROOT / module.replace(".", "/")).with_suffix(".py")
                for alias in names:
                    if (alias.asname or alias.name) == name and file.is_file():
                        return _alias(alias.name, _parsed(file))
    return None
