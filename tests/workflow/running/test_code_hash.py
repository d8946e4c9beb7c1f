"""A hash of code changes with what decides a result, and with nothing else."""

import pytest

from workflow.running import fingerprint

SOURCES = {
    "main": '"""Main."""\nfrom pack import helper\n\nRATE = 0.5\n\n\ndef run(x):\n'
    '    """Run."""\n    from pack.lazy import late\n    return helper.twice(x) * RATE + late()\n',
    "helper": "import pack.deep as d\nfrom pack.plumbing import carry\n\n\n"
    "def twice(x):\n    return d.add(x, x)\n",
    "deep": "import pack.main\n\n\ndef add(a, b):\n    return a + b\n",
    "lazy": "def late():\n    return 1\n",
    "plumbing": "from pack.behind import z\n\n\ndef carry(x):\n    return x\n",
    "behind": "z = 1\n",
    "unrelated": "q = 1\n",
}


def forget():
    fingerprint.code_hash.cache_clear()
    fingerprint._read.cache_clear()


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """A package of a few modules in the place of this repository; returns a hashing function."""
    (tmp_path / "pack").mkdir()
    for name, text in SOURCES.items():
        (tmp_path / "pack" / f"{name}.py").write_text(text)
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fingerprint, "PACKAGES", ("pack",))
    monkeypatch.setattr(fingerprint, "NOT_HASHED", {"pack.plumbing"})
    forget()

    def after(name, old, new):
        file = tmp_path / "pack" / f"{name}.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        forget()
        return fingerprint.code_hash("pack.main")

    yield after
    forget()


def test_the_closure_ends_at_plumbing_and_survives_a_cycle(pack):
    expected = {f"pack.{name}" for name in ("main", "helper", "deep", "lazy")}
    assert fingerprint.closure("pack.main") == expected


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("main", "RATE = 0.5", "RATE = 0.5  # a comment\n# another"),
        ("main", '"""Main."""', '"""Another docstring,\n\nof several lines."""'),
        ("main", '"""Main."""\n', ""),
        ("main", '    """Run."""\n', ""),
        ("helper", "def twice(x):\n", 'def twice(x):\n    """New docstring."""\n'),
        ("helper", "d.add(x, x)", "(\n        d.add(\n            x, x,\n        )\n    )"),
        ("main", "RATE = 0.5", "RATE=.5"),
        ("plumbing", "return x", "return [x]"),
        ("behind", "z = 1", "z = 2"),
        ("unrelated", "q = 1", "q = 2"),
    ],
)
def test_what_changes_no_result_changes_no_hash(pack, module, old, new):
    before = fingerprint.code_hash("pack.main")
    assert pack(module, old, new) == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("main", "RATE = 0.5", "RATE = 0.25"),
        ("main", "* RATE", "+ RATE"),
        ("helper", "d.add(x, x)", "d.add(x, 1)"),
        ("deep", "a + b", "a - b"),
        ("lazy", "return 1", "return 2"),
        ("lazy", "return 1", "pass\n    'not a docstring, as it comes second'\n    return 1"),
    ],
)
def test_what_changes_a_result_changes_the_hash(pack, module, old, new):
    before = fingerprint.code_hash("pack.main")
    assert pack(module, old, new) != before


def test_an_edit_and_its_undoing_give_the_old_hash(pack):
    before = fingerprint.code_hash("pack.main")
    assert pack("deep", "a + b", "b + a") != before
    assert pack("deep", "b + a", "a + b") == before


def test_package_initialisers_are_hashed_where_they_are_imported(pack, tmp_path):
    before = fingerprint.code_hash("pack.main")
    (tmp_path / "pack" / "__init__.py").write_text("")
    forget()
    after = fingerprint.code_hash("pack.main")
    assert pack("__init__", "", "VALUE = 3\n") != after
    assert before != after


def test_training_rests_on_the_loss_and_the_network_but_not_on_wording():
    training = fingerprint.closure("workflow.training.train")
    assert {
        "workflow.training.loop",
        "workflow.training.losses",
        "workflow.training.augmentation",
        "workflow.training.schedule",
        "workflow.metrics.counts",
        "workflow.networks.device",
        "workflow.data.images",
        "workflow.data.arrays",
    } <= training
    after = ("workflow.results", "workflow.tables", "workflow.figures", "workflow.report")
    assert not {name for name in training if name.startswith(after)}
    assert not {name for name in training if name.startswith(fingerprint.NOT_HASHED)}
    network = fingerprint.closure("resformer.model")
    assert {"resformer.blocks", "resformer.attention", "resformer.initialisation"} <= network
    for module in fingerprint.NOT_HASHED:
        assert fingerprint._read(module) is not None, f"{module} is gone"
