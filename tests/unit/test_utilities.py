"""Helpers for examples: cubes and spirals of points, and interpolation back and forth."""

import numpy as np
import pytest

import shmrerun as rr
from shmrerun import components, utilities


@pytest.fixture(scope="module")
def oracle():
    """Return the real package's module."""
    return pytest.importorskip("rerun.utilities")


def same(ours, theirs):
    """Points are equal but for rounding, colours are when they are logged."""
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
    np.testing.assert_allclose(ours.positions, theirs.positions, rtol=0, atol=1e-12)
    assert components.ColorBatch(ours.colors) == components.ColorBatch(theirs.colors)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100, 255, 256, 1000])
def test_spirals_equal_rerun(oracle, count):
    """A spiral of any length has the points and colours of rerun-sdk's."""
    same(utilities.build_color_spiral(count), oracle.build_color_spiral(count))


def test_empty_spirals_keep_their_shape():
    """A spiral of no points has three columns (rerun-sdk 0.41 gives flat positions)."""
    assert [part.shape for part in utilities.build_color_spiral(0)] == [(0, 3), (0, 3)]


def test_arguments_of_spirals_equal_rerun(oracle):
    """Radius, steps and the first angle mean what they mean in rerun-sdk."""
    words = {"radius": 3, "angular_step": 0.1, "angular_offset": 0.25, "z_step": -0.5}
    same(utilities.build_color_spiral(9, **words), oracle.build_color_spiral(9, **words))


@pytest.mark.parametrize("counts", [(), (2, 3, 4), (1, 1, 1), (1, 3, 2), (3, 2, 1), (0, 1, 1), (5, 7, 11)])
@pytest.mark.parametrize("twist", [0, 0.5, -2])
def test_grids_equal_rerun(oracle, counts, twist):
    """A cube has the points and colours of rerun-sdk's, in its order, twisted or not."""
    same(utilities.build_color_grid(*counts, twist=twist), oracle.build_color_grid(*counts, twist=twist))


def test_ready_made_values_equal_rerun(oracle):
    """``color_grid`` and ``color_spiral`` are made with the defaults, once."""
    same(utilities.color_grid, oracle.color_grid)
    same(utilities.color_spiral, oracle.color_spiral)
    assert utilities.color_grid is utilities.color_grid
    assert rr.utilities is utilities
    with pytest.raises(AttributeError, match="color_cube"):
        _ = utilities.color_cube


@pytest.mark.parametrize("at", [-2.5, -1.3, -1, -0.2, 0, 0.5, 1, 1.25, 2, 2.25, 3.1, np.float64(1.5), np.array(0.75)])
def test_bouncing_equals_rerun(oracle, at):
    """Interpolation turns round at both ends, as rerun-sdk's does, for numbers and for points."""
    assert utilities.bounce_lerp(3, 10, at) == pytest.approx(oracle.bounce_lerp(3, 10, at), abs=1e-12)
    ends = np.array([0.0, 1, 2]), np.array([5.0, 1, -2])
    np.testing.assert_allclose(utilities.bounce_lerp(*ends, at), oracle.bounce_lerp(*ends, at), atol=1e-12)


def test_bouncing_takes_arrays_of_steps():
    """An array of steps gives what its items give one by one (rerun-sdk 0.41 refuses it)."""
    steps = np.array([-1.3, -0.2, 0, 0.5, 1.25, 3.1])
    assert utilities.bounce_lerp(0, 10, steps).tolist() == [utilities.bounce_lerp(0, 10, step) for step in steps]
