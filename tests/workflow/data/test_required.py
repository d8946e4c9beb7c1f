"""Raw files that only the user can give are asked for before the first job."""

from types import SimpleNamespace

import pytest

from tests.workflow.config.config_changes import changed
from workflow.base.errors import ConfigError
from workflow.data.required import needed_sources, require_raw_files


def dag(**rules):
    jobs = [
        SimpleNamespace(rule=SimpleNamespace(name=rule), wildcards=SimpleNamespace(source=source))
        for rule, source in rules.items()
    ]
    return SimpleNamespace(needrun_jobs=lambda: jobs)


def test_only_jobs_that_list_raw_files_need_them():
    assert needed_sources(dag(raw="retouch", phantom="isic2017")) == {"retouch"}
    assert needed_sources(dag()) == set()


def test_retouch_is_asked_for_where_it_is_needed_and_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("RETOUCH_DIR", raising=False)
    missing = changed({"preset": "paper", "data": {"retouch_dir": str(tmp_path / "none")}})
    with pytest.raises(ConfigError, match=r"none: not there, and RETOUCH is needed\.\n.*account"):
        require_raw_files(missing, {"retouch"})
    require_raw_files(missing, {"isic2017"})
    require_raw_files(
        changed({"preset": "paper", "data": {"retouch_dir": str(tmp_path)}}), {"retouch"}
    )
    require_raw_files(changed({}), {"retouch"})  # the demo paints its own
