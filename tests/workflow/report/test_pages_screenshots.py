"""The README's pictures: made from a report, small, and with its warnings in them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.screenshots import (
    IMAGES,
    LARGEST,
    OVERVIEW,
    PROGRAMS,
    WIDTH,
    Shot,
    small,
    take,
)
from tests.workflow.report.browsing import MISSING, build_small_report
from tests.workflow.report.reporting_tree import small_config
from workflow.config import paths
from workflow.config.notices import DEMO

ROOT = Path(__file__).parents[3]
# The ground of a warning in the light style.
GROUND = np.array([255, 243, 226])


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    if not any(map(shutil.which, PROGRAMS)):
        if os.environ.get("RESFORMER_TEST_EVERYTHING"):
            pytest.fail("no browser")
        pytest.skip("no Chromium")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("pictured"))
        config = small_config()
        build_small_report(config, MISSING)
        yield paths.report(config).absolute()


def test_both_pictures_are_small_and_show_the_warning(report, tmp_path):
    files = take(report, tmp_path)
    assert [file.name for file in files] == ["overview.webp", "images.webp"]
    for file, shot in zip(files, (OVERVIEW, IMAGES), strict=True):
        assert file.stat().st_size <= LARGEST
        with Image.open(file) as picture:
            assert (picture.format, picture.size) == ("WEBP", (WIDTH, shot.height))
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        # Compression moves colours a little.
        warning = (abs(pixels[:150] - GROUND) <= 6).all(axis=2)
        assert warning.sum() > 10_000, "the band at the head of the page is in the picture"
        assert pixels[400:].std() > 10, "something is drawn below it"
    assert sorted(tmp_path.iterdir()) == sorted(files), "nothing else is left there"


def test_a_picture_without_its_warning_is_refused(report, tmp_path):
    low = Shot("low.webp", "index.html", 60)
    with pytest.raises(RuntimeError, match=f"{DEMO}.*make its window taller"):
        take(report, tmp_path, (low,))
    assert not list(tmp_path.iterdir())


def test_a_picture_is_as_good_as_fits():
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    large, less = small(picture, 1_000_000), small(picture, 40_000)
    assert len(less) <= 40_000 < len(large)
    with pytest.raises(RuntimeError, match="more than 100 bytes at the lowest quality"):
        small(picture, 100)


def test_the_command_says_what_to_do_without_a_report(tmp_path):
    command = [sys.executable, "-m", "benchmarks.screenshots", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no report; make it: snakemake --cores all report" in done.stdout
