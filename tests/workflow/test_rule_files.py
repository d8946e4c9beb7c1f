"""The rules are inputs, outputs, resources and one command each; logic is in modules."""

import re

import pytest

from tests.workspace import ROOT

FILES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
RULE = re.compile(r"^ *rule ?(\w*):$", re.MULTILINE)
COMMAND = re.compile(r'^ *shell:\n *"python -m workflow[. ][^"]*"(?:\n *"[^"]*")*$', re.MULTILINE)


def test_there_are_rules():
    assert len(FILES) >= 9
    assert sum(len(RULE.findall(file.read_text())) for file in FILES) >= 17


@pytest.mark.parametrize("file", [ROOT / "Snakefile", *FILES], ids=lambda file: file.name)
def test_no_rule_file_has_a_function_or_a_class(file):
    """Logic is in modules, where it is typed and tested; a lambda hands a rule's wildcards on."""
    assert not re.findall(r"^ *(?:def|class|async def) .*$", file.read_text(), re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_rule_has_a_log_and_one_command(file):
    parts = RULE.split(file.read_text())[2::2]
    for part in parts:
        assert len(re.findall(r"^ *log:$", part, re.MULTILINE)) == 1
        assert len(COMMAND.findall(part)) == 1, part
        assert re.search(r"2>&1 \| tee {log:q}\"$|> {log:q} 2>&1\"$", part, re.MULTILINE), part


@pytest.mark.parametrize("file", [ROOT / "Snakefile", *FILES], ids=lambda file: file.name)
def test_what_a_shell_reads_is_quoted(file):
    """A value of the configuration, or a path of its names, is one word and never a command."""
    for command in COMMAND.findall(file.read_text()):
        values = re.findall(r"{([^}]*)}", command)
        assert values
        assert [value for value in values if not value.endswith(":q")] == []
