"""Rerun's files by their names: what a library imports from them is there under ``install_as_rerun``."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys

import pytest
from helpers import read_rows

rerun = pytest.importorskip("rerun")

PROGRAM = """
import importlib, json, sys
import shmrerun
shmrerun.install_as_rerun()
shmrerun.install_as_rerun()
import rerun as rr
assert rr is shmrerun
missing = []
for file, names in json.load(sys.stdin).items():
    module = importlib.import_module(file)
    parent, _, name = file.rpartition(".")
    assert getattr(importlib.import_module(parent), name) is not None
    missing += [f"{file}.{name}" for name in names if not hasattr(module, name)]
print(json.dumps(missing))
"""
ABSENT = {"rerun._baseclasses.T", "rerun._properties.build_property_args"}


def names_there():
    """Public names by file of Rerun's: those that the file itself defines."""
    found = {}
    packages = ["archetypes", "components", "encodings"]
    packages += [f"blueprint.{name}" for name in ("archetypes", "components", "encodings", "views", "visualizers")]
    for package in packages:
        parent = importlib.import_module(f"rerun.{package}")
        for file in pkgutil.iter_modules(parent.__path__, f"rerun.{package}."):
            if not file.name.endswith("_ext") and "._" not in file.name:
                module = importlib.import_module(file.name)
                found[file.name] = [name for name in getattr(module, "__all__", ()) if not name.startswith("_")]
    found["rerun.blueprint"] = list(rerun.blueprint.__all__) if hasattr(rerun.blueprint, "__all__") else []
    found |= {f"rerun.blueprint.{file}": [] for file in ("api", "containers", "table", "experimental")}
    for file in ("_baseclasses", "_log", "_properties", "_script_helpers", "any_value", "dynamic_archetype", "recording_stream"):
        module = importlib.import_module(f"rerun.{file}")
        names = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        found[module.__name__] = [name for name in names if not name.startswith("_")]
    found["rerun.time"] = ["set_time", "reset_time", "disable_timeline"]
    found["rerun.error_utils"] = ["RerunWarning", "catch_and_log_exceptions", "set_strict_mode", "strict_mode"]
    return found


def test_every_file_and_its_names():
    wanted = names_there()
    assert len(wanted) > 200
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=json.dumps(wanted), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) <= ABSENT


@pytest.mark.parametrize("name", ["rerun.nothing", "rerun.components.nothing"])
def test_a_file_that_is_not_there(name):
    program = f"import shmrerun; shmrerun.install_as_rerun(); import {name}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"No module named '{name}'" in done.stderr


def test_converters_of_batches():
    """Classes of libraries name them as the converters of their fields."""
    import shmrerun as rr

    for module in (rr, rerun):
        batch = module.components.ColorBatch
        assert batch._converter(None) is None
        assert batch._converter([0xFF]).as_arrow_array().to_pylist() == [0xFF]
        assert isinstance(batch._converter([]), batch)


def test_described_batches_are_logged_by_the_internal_name(tmp_path):
    """Rerun's benchmarks log the batches of an archetype by `_log_components`; the row is what `log` makes of them."""
    program = """
import sys
import shmrerun
shmrerun.install_as_rerun()
import rerun as rr
from rerun._log import _log_components
rr.init("alias", send_properties=False)
rr.save(sys.argv[1])
_log_components("a", rr.Scalars(42.0).as_component_batches(), static=True)
rr.disconnect()
"""
    path = tmp_path / "out.rrd"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = read_rows(path)
    assert [row["Scalars:scalars"] for row in rows["/a"]] == [[42.0]]
