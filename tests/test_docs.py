"""What the documents show works as it stands there."""

import re

import torch
import yaml

from tests.workspace import ROOT
from workflow.config import Method


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_example_of_a_method_builds_and_predicts() -> None:
    (source,) = blocks("adding-a-method.md", "python")
    module: dict = {}
    exec(source, module)
    for n_seg, n_cls in ((3, 3), (1, None), (None, 2)):
        network = module["build"](image_size=16, n_seg=n_seg, n_cls=n_cls, width=4)
        prediction = network(torch.rand(2, 3, 16, 16))
        shapes = [None if part is None else tuple(part.shape) for part in prediction]
        assert shapes == [
            None if n_seg is None else (2, n_seg + 1, 16, 16),
            None if n_cls is None else (2, n_cls),
        ]


def test_the_example_of_an_entry_is_one() -> None:
    entry, row = (yaml.safe_load(block) for block in blocks("adding-a-method.md", "yaml"))
    assert Method.model_validate(entry["tiny"]).options == {"width": 32}
    assert row == [{"title": "Tiny", "method": "tiny"}]


def test_every_link_of_the_documents_leads_somewhere() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for document in documents:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} names {target}"
