"""What the tests of verdicts share."""

import pytest

from tests.workflow.verdicts.verdict_cases import (
    CONFIG,
    as_printed,
    made,
)
from workflow.verdicts.judge import judge


@pytest.fixture(scope="module")
def golden():
    """The printed numbers fed through as if they were our results."""
    return judge(CONFIG, made(as_printed()))
