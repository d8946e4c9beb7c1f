"""The front door: what it lists, how it refuses, how it ends, and what it does not import."""

import ast
import os
import re
import subprocess
import sys
import types

import pytest

from tests.workspace import ROOT
from workflow.__main__ import COMMANDS, Command, main, parser_of
from workflow.base.errors import ConfigError, DataError, UsageError
from workflow.base.files import write_json
from workflow.commands.arguments import asked, has_run
from workflow.config.load import load_config, load_raw
from workflow.running import fingerprint

OF_A_PRESET = {
    "plan",
    "power",
    "preflight",
    "status",
    "curves",
    "timing",
    "verify",
    "learned",
    "profile",
    "rebuild",
    "card",
}
HEAVY = {"torch", "pandas", "numpy", "snakemake", "matplotlib", "pydantic", "yaml"}


def python(*arguments, **options):
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, **options)


def said_of_imports(arguments):
    """What a command prints, and the packages that are loaded at its end."""
    code = (
        "import sys; from workflow.__main__ import main; code = main(sys.argv[1:]); "
        "sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules})); "
        "sys.exit(code)"
    )
    done = python("-c", code, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout, set(done.stderr.split())


def refusal(capsys, *arguments, code=2):
    """The one line that a command is refused with."""
    assert main(list(arguments)) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("error: ")
    return said.err


@pytest.fixture
def command(monkeypatch):
    """Puts a command into the table that does what it is given."""

    def put(action):
        module = types.ModuleType("of_a_test", "A test.\n\n    resformer tried\n")
        module.__dict__.update(add_arguments=lambda parser: None, run=lambda options: action())
        monkeypatch.setitem(sys.modules, "of_a_test", module)
        monkeypatch.setitem(COMMANDS, "tried", Command("of a test", "of_a_test"))

    return put


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with the repository's configuration and nothing that has run."""
    for name in ("config.yaml", "workflow"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_list_has_a_line_for_each_command_and_imports_nothing_heavy():
    said, loaded = said_of_imports(["--help"])
    for name, command in COMMANDS.items():
        assert f"  {name} ".ljust(16) + f"{command.help}\n" in said
    assert not loaded & HEAVY
    assert said_of_imports([])[0] == said


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_shows_an_example_and_imports_nothing_heavy(name):
    said, loaded = said_of_imports([name, "--help"])
    assert said.startswith(f"usage: resformer {name} ")
    assert re.search(rf"^    resformer {name}\b", said, re.MULTILINE)
    assert not loaded & HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_each_argument_is_explained_with_its_unit(name):
    parser = parser_of(name)
    for action in parser._actions:
        assert action.help
        if action.metavar == "S":
            assert "seconds" in action.help
    assert ("preset" in vars(parser.parse_args([]))) == (name in OF_A_PRESET)


def test_all_take_the_preset_in_the_same_way():
    texts = set()
    for name in OF_A_PRESET:
        (action,) = (action for action in parser_of(name)._actions if action.dest == "preset")
        assert (action.option_strings, action.nargs, action.default) == ([], "?", None)
        texts.add(str(action.help).partition(", or")[2])
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "--gpus", "some"], "--gpus: found some; give 1 or more, as a whole number"),
        (["plan", "--gpus"], "--gpus: expected one argument; see `resformer plan --help`"),
        (["plan", "--gpu", "2"], "unrecognized arguments: --gpu;"),
        (["plan", "--seconds", "-1"], "--seconds: found -1; give seconds, more than 0"),
        (["status", "--watch", "nan"], "--watch: found nan; give seconds, more than 0"),
        (["status", "demo", "paper"], "unrecognized arguments: paper"),
        (["audit", "--format", "xml"], "--format: invalid choice: 'xml'"),
        (["card", "--steps", "-1"], "--steps: found -1; give 0 or more"),
        (["timing", "demmo"], "PRESET: unknown name 'demmo'; did you mean 'demo'? Allowed: "),
        (["schema", "demo"], "unrecognized arguments: demo"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(arguments, said, capsys):
    assert refusal(capsys, *arguments).startswith(f"error: {said}")


def test_an_unknown_command_names_the_nearest(capsys):
    assert "no command 'stauts'; did you mean `resformer status`?" in refusal(capsys, "stauts")
    assert "did you mean" not in refusal(capsys, "xyz")


def failing(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("no"), 1), (DataError("no"), 1), (UsageError("no"), 2)],
)
def test_errors_end_with_their_message(error, code, command, capsys):
    command(failing(error))
    assert refusal(capsys, "tried", code=code) == "error: no\n"


def test_an_error_of_the_audit_is_one_of_data(capsys):
    assert "absent.csv: cannot be read" in refusal(capsys, "audit", "absent.csv", code=1)


def test_what_is_nobodys_mistake_shows_where_it_happened(command):
    command(failing(KeyError("a fault")))
    with pytest.raises(KeyError, match="a fault"):
        main(["tried"])
    command(failing(ModuleNotFoundError("gone", name="workflow.gone")))
    with pytest.raises(ModuleNotFoundError):
        main(["tried"])


def test_a_command_may_end_with_a_code_of_its_own(command):
    command(lambda: 7)
    assert main(["tried"]) == 7
    command(lambda: None)
    assert main(["tried"]) == 0


def test_ctrl_c_ends_quietly(command, capsys):
    command(failing(KeyboardInterrupt()))
    assert main(["tried"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["plan", "smoke"]])
def test_a_closed_pipe_ends_quietly(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "workflow", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_without_the_extra_it_says_which_to_install():
    code = (
        "import sys; sys.modules['pydantic'] = None; "
        "from workflow.__main__ import main; sys.exit(main(['plan']))"
    )
    done = python("-c", code)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: pydantic is not installed")
    assert "resformer-reproduction[workflow]" in done.stderr


def test_the_installed_command_leaves_another_checkout_to_its_own_code(tmp_path):
    """An environment that several checkouts share has the command of one of them."""
    script, other = tmp_path / "bin" / "resformer", tmp_path / "other"
    script.parent.mkdir()
    script.write_text("import sys\nfrom workflow.__main__ import installed\nsys.exit(installed())")
    (other / "workflow").mkdir(parents=True)
    (other / "workflow" / "__init__.py").touch()
    (other / "workflow" / "__main__.py").write_text("import sys\nprint('other', sys.argv[1:])\n")
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = {
        place: subprocess.run(
            [sys.executable, script, "--help"], cwd=place, env=variables, capture_output=True
        ).stdout
        for place in (tmp_path, ROOT, other)
    }
    assert said[tmp_path] == said[ROOT] != b""
    assert said[other] == b"other ['--help']\n"


def test_a_name_asks_for_what_config_yaml_says_and_a_path_for_what_a_run_wrote(folder):
    write_json(folder / "results/smoke/config.json", load_raw(overrides={"preset": "smoke"}))
    write_json(
        folder / "results/paper/config.json",
        load_raw(overrides={"preset": "paper", "seeds": [4]}),
    )
    assert asked(None).preset == "demo"
    assert len(asked("paper").seeds) == 5
    assert asked("results/paper").seeds == asked("results/paper/config.json").seeds == [4]
    assert has_run("paper").seeds == has_run("results/paper").seeds == [4]
    assert has_run("smoke").preset == "smoke"


def test_a_preset_of_another_file_is_known_by_its_name_once_it_has_run(folder):
    raw = load_raw(overrides={"presets": {"polyps": {}}, "preset": "polyps"})
    with pytest.raises(UsageError, match=r"unknown name 'polyps'.*; nothing has run yet"):
        asked("polyps")
    write_json(folder / "results/polyps/config.json", raw)
    assert asked("polyps").preset == has_run("polyps").preset == "polyps"


def test_a_preset_that_has_not_run_is_refused_with_those_that_have(folder, capsys):
    for name in ("paper", "smoke"):
        write_json(folder / f"results/{name}/config.json", load_raw(overrides={"preset": name}))
    said = refusal(capsys, "timing", code=1)
    assert "results/demo/config.json: no such file" in said
    assert "these have run: paper, smoke" in said
    assert "snakemake --cores all --config preset=demo" in said
    assert "x/config.json: no such file" in refusal(capsys, "status", "x/config.json", code=1)


def test_a_record_that_is_damaged_is_refused(folder, capsys):
    (folder / "results" / "demo").mkdir(parents=True)
    (folder / "results" / "demo" / "config.json").write_text('{"preset"')
    assert "results/demo/config.json: not JSON" in refusal(capsys, "status", code=1)


def test_what_is_written_needs_a_repository(folder, monkeypatch, capsys):
    monkeypatch.setattr("workflow.commands.arguments.ROOT", folder)
    for name in ("schema", "networks", "environments"):
        assert "no repository" in refusal(capsys, name, code=1)


def test_the_profiles_of_runs_are_shown(folder, capsys):
    write_json(folder / "results/smoke/config.json", load_raw(overrides={"preset": "smoke"}))
    said = refusal(capsys, "profile", "smoke", code=1)
    assert "results/smoke/profiles: no profile of 12 runs" in said
    for method in ("unetpp", "efficientnet"):
        profile = folder / f"results/smoke/profiles/isic2017/{method}/seed0"
        profile.mkdir(parents=True)
        (profile / "phases.csv").write_text(
            "phase,times,seconds,share_of_step\nforward,50,0.25,0.625\nvalidate,1,2.0,\n"
        )
        (profile / "operators.txt").write_text("aten::mm")
    assert main(["profile", "smoke", "--method", "unetpp"]) == 0
    said = capsys.readouterr().out
    assert "forward      50  0.250000  62.5%" in said
    assert "validate      1  2.000000\n" in said
    assert said.count("profile: ") == 1
    assert "aten::mm" not in said
    assert main(["profile", "smoke", "--operators", "--seed", "0"]) == 0
    assert capsys.readouterr().out.count("aten::mm") == 2
    assert "unknown name 'unet'" in refusal(capsys, "profile", "smoke", "--method", "unet")


def started(text):
    """The modules that rules start as programs."""
    return set(re.findall(r"(?:(?<=-m )|(?<=launch ))workflow[\w.]*", text))


def test_there_is_no_second_door():
    """What can be started is a command or a step of a rule; only commands parse arguments."""
    rules = "\n".join(file.read_text() for file in (ROOT / "workflow" / "rules").glob("*.smk"))
    known = {*started(rules), "workflow.running.warm", "workflow"}
    for file in (ROOT / "workflow").rglob("*.py"):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        tree = ast.parse(file.read_text())
        starts = [n for n in tree.body if isinstance(n, ast.If) and "__main__" in ast.dump(n.test)]
        assert not starts or name.removesuffix(".__main__") in known, name
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        if "argparse" in modules:
            assert name == "workflow.__main__" or name.startswith("workflow.commands."), name


def test_a_step_is_known_by_its_own_module_and_never_by_a_command(monkeypatch):
    steps = set()
    monkeypatch.setattr(fingerprint, "code_hash", lambda module: steps.add(module) or module)
    config = load_config(ROOT / "config.yaml", {"preset": "paper"})
    for step in ("inventory", "split", "prepare", "gates"):
        for dataset in config.datasets:
            fingerprint.data_fingerprint(config, dataset, step)
    for source in ("retouch", "isic2017"):
        fingerprint.phantom_fingerprint(config, source)
    for method in config.methods:
        fingerprint.run_fingerprint(config, "isic2017", method)
        if config.methods[method].module:
            fingerprint.evaluation_fingerprint(config, "isic2017", method)
        fingerprint.superpixels_fingerprint(config, "isic2017", method)
    for key in config.tables:
        fingerprint.table_fingerprint(config, key)
    for key in config.figures:
        fingerprint.figure_fingerprint(config, key)
    fingerprint.report_fingerprint(config)
    assert {
        "workflow.training.train",
        "workflow.evaluation.controls",
        "workflow.report.make",
    } < steps
    for step in steps:
        behind = fingerprint.closure(step)
        assert step in behind
        doors = {m for m in behind if m.startswith(("workflow.__main__", "workflow.commands"))}
        assert not doors, step
