"""Blueprints built by the same code with both libraries are the same, row for row, when rerun-sdk reads them back."""

from __future__ import annotations

import importlib
import warnings

import pytest
from blueprint_programs import BLUEPRINTS
from blueprint_rows import normalised

import shmrerun
import shmrerun.blueprint

rerun = pytest.importorskip("rerun")
importlib.import_module("rerun.blueprint")


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_saved_blueprints_are_equal(tmp_path, name):
    """Entities, order, components, Arrow types, metadata and values are rerun's; warnings as well."""
    warned = []
    for package in (rerun, shmrerun):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            made = BLUEPRINTS[name](package, package.blueprint)
            made = made.to_blueprint() if hasattr(made, "to_blueprint") else made
            made.save("app", tmp_path / f"{package.__name__}.rbl")
        warned.append([str(one.message) for one in caught])
    theirs, ours = (normalised(tmp_path / f"{package.__name__}.rbl") for package in (rerun, shmrerun))
    assert len(ours) == len(theirs)
    for mine, real in zip(ours, theirs, strict=True):
        assert mine == real
    assert warned[1] == warned[0] == []
