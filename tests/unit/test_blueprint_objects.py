"""What the classes of blueprints refuse, and that they are plain objects."""

from __future__ import annotations

import copy
import importlib
import os
import pickle
import re
import subprocess
import sys

import pytest

import shmrerun
import shmrerun.blueprint as rrb
from shmrerun.producer.messages import blueprint_messages
from shmrerun.rrd.recorder import record


@pytest.fixture(scope="module", params=["shmrerun", "rerun"])
def m(request):
    """Return a package: what is refused is refused by both."""
    pytest.importorskip("rerun")
    importlib.import_module(f"{request.param}.blueprint")
    return importlib.import_module(request.param)


REFUSED = {
    "two top panels": ("Blueprint(TopPanel(), TopPanel())", ValueError, "Only one top panel can be provided"),
    "two blueprint panels": ("Blueprint(BlueprintPanel(), BlueprintPanel())", ValueError, "Only one blueprint panel can be provided"),
    "two selection panels": ("Blueprint(SelectionPanel(), SelectionPanel())", ValueError, "Only one selection panel can be provided"),
    "two time panels": ("Blueprint(TimePanel(), TimePanel())", ValueError, "Only one time panel can be provided"),
    "unknown part": ("Blueprint('x')", ValueError, "Unknown part type: x"),
    "archetype": ("Blueprint(PlotLegend())", ValueError, "Unknown part type"),
    "blueprint": ("Blueprint(Blueprint())", ValueError, "Unknown part type"),
    "class": ("Blueprint(Spatial3DView)", ValueError, "Unknown part type"),
    "class of a panel": ("Blueprint(TimePanel)", ValueError, "Unknown part type"),
    "expanded and state": ("TimePanel(expanded=True, state='hidden')", ValueError, "Cannot set both 'expanded' and 'state'"),
    "unknown tab": ("Tabs(Spatial3DView(name='a'), active_tab='b').to_blueprint().save('x', PATH)", ValueError, "Active tab 'b' not found"),
    "tab out of range": ("Tabs(Spatial3DView(), active_tab=1).to_blueprint().save('x', PATH)", ValueError, "Active tab '1' not found"),
    "both contents": ("Tabs(Spatial3DView(), contents=[])", ValueError, "Cannot provide both"),
    "default": ("Spatial3DView(defaults=[7]).to_blueprint().save('x', PATH)", ValueError, "Provided default: 7 is neither"),
    "view by position": ("Spatial3DView('/a')", TypeError, "positional"),
    "unknown property": ("Spatial3DView(nothing=1)", TypeError, "nothing"),
    "keyword-only archetype": ("TextDocumentView(format_options=True)", TypeError, "positional"),
    "no such name": ("NoSuchView()", AttributeError, "NoSuchView"),
    "no directory": ("Blueprint().save('x', PATH + '/a/b')", RuntimeError, ""),
    "empty id": ("Blueprint().save('', PATH)", ValueError, "Application ID must not be empty"),
    "id of another type": ("Blueprint().save(5, PATH)", TypeError, "application_id"),
    "no URL": ("Blueprint().connect_grpc('x', url='nothing')", RuntimeError, "missing scheme"),
    "empty table name": ("table.Column('')", ValueError, ""),
    "table column twice": ("table.TableLayout(columns=[table.Column('a'), table.Column('a')])", ValueError, ""),
    "cards without layout": ("TableBlueprint(default_layout='cards')", ValueError, ""),
    "a single filter": ("TableBlueprint(filters='x')", TypeError, ""),
    "truth of a filter": ("bool(table.col('x') > 1)", TypeError, ""),
    "number of a bool": ("table.col('x') > True", TypeError, ""),
    "empty preview": ("table.PreviewCell()", ValueError, ""),
    "preview of no view": ("table.PreviewCell(7)", TypeError, ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(m, tmp_path, case):
    """Wrong parts, panels, tabs and defaults raise what rerun-sdk raises, and no file is written."""
    source, kind, text = REFUSED[case]
    names = "|".join(sorted((*rrb.__all__, "NoSuchView"), key=len, reverse=True))
    source = re.sub(rf"(?<![\w.'])({names})\b", r"rrb.\1", source)
    with pytest.raises(kind, match=text or None):
        eval(source, {"rrb": m.blueprint, "PATH": str(tmp_path / "x.rbl")})
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("given", ["string in a list", 7, None])
def test_a_container_says_what_it_was_given(given):
    """Contents that are no views are refused when the container is made, with their type."""
    with pytest.raises(TypeError, match=f"views and containers, got {type(given).__name__}"):
        rrb.Horizontal(given)


@pytest.mark.parametrize(
    "given", [rrb.TimePanel(), rrb.PlotLegend(), rrb.Blueprint, rrb.Spatial3DView, 7, [rrb.Spatial3DView()], rrb.TableBlueprint()]
)
def test_what_is_no_blueprint_is_refused(given):
    """Parts, classes and lists are no blueprints, and the message says what is one."""
    with pytest.raises(TypeError, match="a blueprint is a Blueprint, a view or a container"):
        blueprint_messages(given, "app", make_active=True, make_default=True)


def test_blueprints_are_plain_objects():
    """A blueprint goes through pickle and copy with its ids, and gives the same rows each time."""
    made = rrb.Blueprint(
        rrb.Tabs(rrb.Spatial3DView(overrides={"a": shmrerun.Points3D([[1, 2, 3]])}, time_ranges=rrb.VisibleTimeRange(
            "t", start=rrb.TimeRangeBoundary.infinite(), end=rrb.TimeRangeBoundary.cursor_relative())), rrb.MapView(zoom=3)),
        rrb.TimePanel(time_selection=rrb.components.AbsoluteTimeRange(1, 2)),
    )  # fmt: skip
    for other in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made), made):
        rows = [[chunk.entity_path for chunk in record(one, "app")._chunks] for one in (made, other)]
        # an archetype among the overrides becomes a visualizer with a new id each time
        plain = [[path.partition("/visualizers")[0] for path in paths] for paths in rows]
        assert plain[0] == plain[1]
        assert len(plain[0]) == 12


def test_an_override_that_cannot_be_logged_is_a_warning():
    """What is wrong inside a view is warned about as a wrong row is, or raised in strict mode; the rest is there."""
    view = rrb.Spatial3DView(overrides={"a": 7})
    with pytest.warns(shmrerun.errors.RerunWarning, match="log: TypeError"):
        assert len(record(view, "app")._chunks) == 4
    shmrerun.set_strict_mode(True)
    try:
        with pytest.raises(TypeError):
            record(view, "app")
    finally:
        shmrerun.set_strict_mode(False)


def test_a_viewer_that_is_not_there():
    """Without a viewer the blueprint is not lost in silence: an error says where nobody took it, and what to do."""
    with pytest.raises(shmrerun.errors.SinkError, match=r"No viewer at 127\.0\.0\.1:1 took the blueprint .* to a file"):
        rrb.Blueprint().connect_grpc("app", url="rerun+http://127.0.0.1:1/proxy")


def test_the_default_path(tmp_path, monkeypatch):
    """Without a path the file is named after the application."""
    monkeypatch.chdir(tmp_path)
    rrb.Blueprint().save("my app")
    assert os.listdir(tmp_path) == ["my app.rbl"]


def test_importing_costs_nothing():
    """``import shmrerun.blueprint`` loads no pyarrow, NumPy or protobuf, nor does making views."""
    source = (
        "import sys, shmrerun.blueprint as rrb; rrb.Blueprint(rrb.Horizontal(rrb.Spatial3DView(), rrb.TextLogView()), rrb.TimePanel());"
        "print([name for name in ('numpy', 'pyarrow', 'google.protobuf', 'grpc') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=100, check=True)
    assert ran.stdout.strip() == "[]"


def test_all_modules_are_found_as_reruns():
    """After install_as_rerun, ``rerun.blueprint`` and what is below are ours, by every form of import."""
    source = """
import shmrerun
shmrerun.install_as_rerun()
import rerun as rr
import rerun.blueprint as rrb
import rerun.blueprint.archetypes, rerun.blueprint.components, rerun.blueprint.datatypes, rerun.blueprint.encodings, rerun.blueprint.views
from rerun.blueprint.api import Blueprint, BlueprintLike
from rerun.blueprint.containers import Tabs
from rerun.blueprint.experimental import TableColumn
from rerun.blueprint.table import col
from rerun.blueprint.visualizers import Visualizer
from rerun.blueprint.views import Spatial3DView
assert rrb is rr.blueprint is shmrerun.blueprint
assert Blueprint is rrb.Blueprint and rerun.blueprint.archetypes.Background is rrb.Background
"""
    subprocess.run([sys.executable, "-W", "error", "-c", source], timeout=100, check=True)
