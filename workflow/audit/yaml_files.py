"""YAML inputs, with errors that say which file and key is wrong."""

from pathlib import Path
from typing import Any

import yaml

from workflow.audit.rounding import AuditError
from workflow.config.errors import unknown

# The C parser is ten times faster; PyYAML has it only where libyaml was found.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file is.

    Raises:
        AuditError: there is no such file, or it is something else.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AuditError(f"{path}: cannot be read as YAML: {error}") from error
    return check_mapping(content, str(path))


def check_mapping(
    content: Any, where: str, allowed: tuple[str, ...] = (), required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A mapping with text keys, all of `required` and, if `allowed` is given, none but those.

    Raises:
        AuditError: it is not.
    """
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise AuditError(f"{where}: found {content!r}; expected a mapping of names to values")
    for key in content:
        if allowed and key not in allowed:
            raise AuditError(f"{where}: {unknown(key, allowed)}")
    for key in required:
        if key not in content:
            raise AuditError(f"{where}: key {key!r} is missing")
    return content
