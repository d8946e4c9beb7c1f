"""Training curves: scaling, gaps and ticks."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.report.curves import HEIGHT, LEFT, TOP, WIDTH, chart, limits, path, ticks


def test_curves_are_scaled_to_the_drawing_area():
    drawn = chart("Loss", [1, 2, 3], {"training": [0.0, 2.0, 1.0]}, (0.0, 2.0), best=2)
    middle, right = LEFT + WIDTH / 2, LEFT + WIDTH
    top, half = TOP, TOP + HEIGHT / 2
    assert (
        drawn.lines[0].path == f"M{LEFT:g} {TOP + HEIGHT:g}L{middle:g} {top:g}L{right:g} {half:g}"
    )
    assert drawn.best == middle
    assert [tick.label for tick in drawn.x_ticks] == ["1", "3"]
    assert drawn.summary == "Epochs 1 to 3: training from 0 to 1"


def test_what_is_not_finite_lifts_the_pen():
    assert path([(0, 1), None, (2, 3), (4, 5)]) == "M0 1M2 3L4 5"
    drawn = chart("Loss", [1, 2, 3], {"a": [math.nan, 1.0, math.inf]}, (0.0, 1.0), None)
    assert len(drawn.lines[0].points) == 1
    assert "nan" not in drawn.lines[0].path
    assert drawn.best is None
    nothing = chart("Loss", [1], {"a": [math.nan]}, (0.0, 1.0), None)
    assert nothing.summary.endswith("no finite value")


def test_one_epoch_is_a_point():
    drawn = chart("Loss", [1], {"training": [0.7]}, (0.7, 0.7), best=1)
    assert drawn.lines[0].points == [(LEFT + WIDTH / 2, TOP + HEIGHT / 2)]
    assert [tick.label for tick in drawn.x_ticks] == ["1"]
    assert [tick.label for tick in drawn.y_ticks] == ["0.7"]


def test_a_best_epoch_outside_the_curve_is_not_drawn():
    assert chart("Loss", [1, 2], {"a": [1.0, 2.0]}, (1.0, 2.0), best=9).best is None


def test_limits_ignore_what_is_not_finite():
    assert limits([[1.0, math.nan], [-2.0, math.inf]]) == (-2.0, 1.0)
    assert limits([[math.nan], []]) is None


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_cover_the_range_and_are_few(low, span):
    found = ticks(low, low + span)
    assert 2 <= len(found) <= 6
    step = found[1] - found[0]
    assert found[0] <= low + 1e-6 * step
    assert found[-1] >= low + span - 1e-6 * step
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert gaps == pytest.approx([step] * len(gaps), rel=1e-3)
