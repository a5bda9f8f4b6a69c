"""The archetypes that only blueprints have, value for value against rerun-sdk 0.41; what else the classes promise."""

from __future__ import annotations

import importlib
import pickle
import warnings

import numpy as np
import pyarrow as pa
import pytest

import shmrerun
import shmrerun.blueprint
from shmrerun.model.tables.archetypes import BLUEPRINT, VISUALIZERS
from shmrerun.model.tables.blueprint_types import ENUMS
from shmrerun.model.tables.types import ENUMS as ALL_ENUMS

ID = bytes(range(16))
BOUNDARY = "m.encodings.TimeRangeBoundary"
RANGE = f"m.encodings.TimeRange({BOUNDARY}.cursor_relative(seq=-1), {BOUNDARY}.absolute(seconds=2))"
OTHER = f"m.encodings.TimeRange({BOUNDARY}.infinite(), {BOUNDARY}.cursor_relative())"
C, E = "m.blueprint.components", "m.blueprint.encodings"
VALUES = {  # converter: expressions, given the package as m
    "bool": ["True", "False", "[True]", "np.bool_(False)", "m.encodings.Bool(True)", "[]", "'x'", "[True, False]", "1", "np.array([0, 1])"],
    "text": [
        "'a'", "''", "['a', 'b']", "('a',)", "[]", "1", "['a', 1]", "np.array(['a'])", "m.encodings.Utf8('u')",
        "m.encodings.EntityPath('/p')",
    ],
    "float32": ["1", "0.1", "[1, 2]", "np.float64(3)", "[]", "'x'", "float('nan')", "m.encodings.Float32(2)", "True"],
    "float64": ["1", "0.1", "[1, 2]", "np.float32(3)", "[]", "'x'", "float('inf')", "2**70", "m.encodings.Float64(2)"],
    "uint32": ["1", "[1, 2]", "2**32 - 1", "2**32", "-1", "1.5", "'x'", "m.encodings.UInt32(2)", "np.uint8(3)"],
    "uint64": ["1", "[1, 2]", "2**63", "2**64", "-1", "m.encodings.UInt64(2)", "np.array([1, 2])"],
    "color": [
        "[1, 2, 3]", "0x11223344", "(0.1, 0.2, 0.3)", "[1, 2, 3, 4]", "m.encodings.Rgba32([1, 2, 3])", "'red'",
        "[[1, 2, 3], [4, 5, 6]]",
    ],
    "vec2": ["[1, 2]", "(1.5, 2)", "[[1, 2], [3, 4]]", "[1, 2, 3]", "np.zeros(2)", "[]"],
    "vec3": ["[1, 2, 3]", "(1.5, 2, 3)", "[[1, 2, 3]]", "[1, 2]", "np.zeros(3)", "m.components.Position3D([1, 2, 3])", "[]"],
    "vec4": ["[1, 2, 3, 4]", "m.components.Plane3D.XY", "m.components.Plane3D([1, 0, 0], 2)", "[1, 2]"],
    "range64": ["(0, 1)", "[-1.5, 2.5]", "m.components.Range1D([3, 4])", "[[1, 2]]", "[1, 2, 3]", "np.array([1, 2])"],
    "view": ["m.components.ViewCoordinates.RDF", "m.ViewCoordinates.FLU", "[1, 3, 5]"],
    "uuid": [
        repr(ID), f"[{ID!r}]", f"[{ID!r}, {ID!r}]", f"np.frombuffer({ID!r}, np.uint8)", f"list({ID!r})", "b'short'",
        f"m.encodings.Uuid({ID!r})", "[]",
    ],
    "range2": [
        "m.encodings.Range2D([0, 1], [2, 3])", f"{C}.VisualBounds2D(x_range=(1, 2), y_range=[3, 4])",
        "[m.encodings.Range2D([0, 1], [2, 3])]", "5",
    ],
    "time_bounds": [f"{C}.AbsoluteTimeRange(1, 2)", "m.encodings.AbsoluteTimeRange(m.TimeInt(seconds=1), -5)", "5"],
    "time_range": [RANGE, OTHER, f"[{RANGE}, {OTHER}]", "7", "[]", f"{C}.TimeRange(m.TimeInt(seq=3), {BOUNDARY}.infinite())"],
    "visible_time_range": [
        f"[m.VisibleTimeRange('a', {RANGE})]",
        f"m.VisibleTimeRange('a', start={BOUNDARY}.infinite(), end={BOUNDARY}.absolute(seq=4))",
        f"[m.VisibleTimeRange('a', {RANGE}), m.VisibleTimeRange('b', range={OTHER})]",
        "[]",
    ],
    "column_order": [
        "['/a', '/b']", f"{C}.ColumnOrder(['/a'])", "[]", "['/a', m.encodings.EntityPath('/b')]", f"[{C}.ColumnOrder(['/a'])]",
        "7",
    ],
    "column_type": [f"{C}.ColumnType(component='a')", f"{E}.ColumnType(component_type_name='b')", f"[{C}.ColumnType()]", "[]", "7"],
    "component_mapping": [
        f"[{E}.VisualizerComponentMapping('a', 'override')]",
        f"{C}.VisualizerComponentMapping('a', {E}.ComponentSourceKind.SourceComponent, source_component='b', selector='.c')",
        f"[{C}.VisualizerComponentMapping('a', 3), {C}.VisualizerComponentMapping('b', 'Default', selector='')]",
        "[]",
        f"[{C}.VisualizerComponentMapping('a', 'nothing')]",
        "7",
    ],
    "index_selection": ["m.TensorDimensionIndexSelection(1, 2)", "[m.TensorDimensionIndexSelection(dimension=1, index=2**40)]", "[]", "7"],
    "log_column": [
        "['body', 'LOGLEVEL']", f"[{E}.TextLogColumnKind.EntityPath]", f"{C}.TextLogColumn('body', visible=False)",
        f"[{C}.TextLogColumn(2), 3]", "[]", "['nothing']", "7",
    ],
    "null_filter": [
        f"{C}.FilterIsNotNull(True, {C}.ComponentColumnSelector('/a:b'))", "'/a:b'",
        f"{C}.ComponentColumnSelector(entity_path='a', component='b:c')",
        "['/a:b', '/c:d']", "7",
    ],
    "range_filter": [f"{C}.FilterByRange(1, 2)", f"[{E}.FilterByRange(m.TimeInt(nanos=5), -1)]", "7", "[]"],
    "selected_columns": [
        "['a', '/b:c']",
        f"{C}.SelectedColumns(['a', {C}.ComponentColumnSelector('/x:y'), m.encodings.Utf8('z:z')])", "[]", "[['a'], ['/b:c']]",
        "[7]", "('a:b:c',)",
    ],
    "selection": ["1", "m.TensorDimensionSelection(2, invert=True)", "[m.TensorDimensionSelection(3)]", "'x'"],
    "slider": [
        "[1, 2]", f"{C}.TensorDimensionIndexSlider(3)", f"[{E}.TensorDimensionIndexSlider(3), 4]", "np.array([1, 2])", "[]",
        "['x']", "[-1]",
    ],
    "sort_by": [
        f"{C}.SortBy('a')", f"{E}.SortBy('a', direction={E}.SortDirection.Descending)",
        f"[{C}.SortBy('b', direction='ascending')]", "7",
    ],
    "timeline_column": ["['a', 'b']", f"{C}.TimelineColumn('a', visible=False)", f"[{C}.TimelineColumn('a'), 'c']", "[]"],
}  # fmt: skip
CASES = [
    (name, field.name, expression)
    for name, spec in BLUEPRINT.items()
    for field in spec.fields
    for expression in (
        VALUES[field.converter]
        if not field.converter.startswith("enum:")
        else [
            expression
            for member, value in ALL_ENUMS[field.converter[5:]].items()
            for expression in (repr(member), repr(member.lower()), str(value))
        ]
        + ["'nothing'", "77", "[1, 2]", "1.5", "[]"]
    )
]
DIFFERENT = {  # what differs, and why
    f"[{C}.ColumnOrder(['/a'])]": "rerun-sdk takes the text of the object for a path",
    "['nothing']": "rerun-sdk warns twice: of the name, and of the length of what it could not convert",
    f"[{C}.VisualizerComponentMapping('a', 'nothing')]": "the same",
}


@pytest.fixture(scope="module")
def rerun():
    """Return the real package with all that the cases name."""
    found = pytest.importorskip("rerun")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name in ("blueprint", "blueprint.encodings", "encodings", "components"):
            importlib.import_module(f"rerun.{name}")
    return found


def outcome(package, name, field, expression):
    """Descriptors, Arrow types and values of what an archetype has, and the contexts of its warnings; or the error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = eval(expression, {"m": package, "np": np, "pa": pa})
            made = getattr(package.blueprint.archetypes, name).from_fields(**{field: value})
        except Exception as error:
            return type(error)
        cells = [
            (str(batch.component_descriptor()), batch.component_descriptor().archetype, batch.component_descriptor().component_type,
             str(batch.as_arrow_array().type), batch.as_arrow_array().to_pylist())
            for batch in made.as_component_batches()
        ]  # fmt: skip
    return repr(cells), [str(one.message).partition(":")[0] for one in caught]


@pytest.mark.parametrize(("name", "field", "expression"), CASES, ids=str)
def test_fields(rerun, name, field, expression):
    """Each field takes what rerun-sdk takes, and makes the same of it, with the same warnings."""
    same = outcome(shmrerun, name, field, expression) == outcome(rerun, name, field, expression)
    assert same == (expression not in DIFFERENT or (expression == "['nothing']" and field != "text_log_columns"))


CONSTRUCTORS = [  # the constructors that do more than name their fields, expression of the call
    "Background()", "Background([1, 2, 3])", f"Background({C}.BackgroundKind.GradientBright)", "Background('GradientDark')",
    "Background(7)",
    "Background([1, 2, 3], kind='solidcolor')", "Background([1, 2, 3], color=5)",
    "Background(kind='gradientbright', color=5)", "Background(kind=9)",
    "Background(color='x')",
    "DataframeQuery()", "DataframeQuery(filter_by_range=(1, 2))", "DataframeQuery(filter_by_range=(1, 2, 3))",
    "DataframeQuery(filter_by_range=[1, 2])",
    "DataframeQuery(filter_is_not_null='a')", "DataframeQuery(filter_is_not_null='/a:b')", "DataframeQuery(filter_is_not_null='/a:b:c')",
    f"DataframeQuery(filter_is_not_null={C}.ComponentColumnSelector('/a:b'), apply_latest_at=True, auto_scroll=True)",
    "DataframeQuery(apply_latest_at=None)", "DataframeQuery('frame')", "DataframeQuery(nothing=1)",
    "LineGrid3D()", "LineGrid3D(False)", "LineGrid3D(True, spacing=2)", "LineGrid3D(visible=[])",
    "PlotLegend()", "PlotLegend('lefttop')", "PlotLegend(visible=False)", "PlotLegend(7)",
    "TensorViewFit()", "TensorViewFit('fill')", "TensorViewFit(scaling=2)",
    "VisibleTimeRanges()", "VisibleTimeRanges(timeline='a')", f"VisibleTimeRanges(timeline='a', range={RANGE})",
    f"VisibleTimeRanges(timeline='a', start={BOUNDARY}.infinite())", f"VisibleTimeRanges([], timeline='a', range={RANGE})",
    f"VisibleTimeRanges(timeline='a', start={BOUNDARY}.infinite(), end={BOUNDARY}.infinite())",
    f"VisibleTimeRanges(m.VisibleTimeRange('a', {RANGE}))",
    f"VisibleTimeRanges([m.VisibleTimeRange('a', {RANGE}), m.VisibleTimeRange('a', {OTHER})])",
    "VisibleTimeRanges([])", "VisibleTimeRanges([7])", "VisibleTimeRanges(7)",
    "VisualBounds2D()", "VisualBounds2D(x_range=[1, 2])", "VisualBounds2D(y_range=[1, 2])",
    "VisualBounds2D(x_range=[1, 2], y_range=(3, 4))",
    "VisualBounds2D(x_range='x', y_range=(3, 4))", "ViewContents()", "MapZoom()", "ForceLink(True)", "SpatialInformation()",
    "SpatialInformation('a')",
    "CardLayout(['a'], title='t')", "CardLayout(title='t')", "TableLayout(['a'])", "TimePanelBlueprint(state='collapsed', fps=1)",
]  # fmt: skip


@pytest.mark.parametrize("expression", CONSTRUCTORS)
@pytest.mark.parametrize("strict", [False, True])
def test_constructors(rerun, expression, strict):
    """Constructors with rules of their own give what those of rerun-sdk give: fields, warnings, errors and their types; strict as well."""
    found = []
    vars(rerun.error_utils._rerun_exception_ctx).pop("strict_mode", None)  # a call that failed leaves a thread as strict as it was
    for package in (shmrerun, rerun):
        package.set_strict_mode(strict)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                made = eval(f"m.blueprint.archetypes.{expression}", {"m": package, "np": np})
                result = [(str(b.component_descriptor()), repr(b.as_arrow_array().to_pylist())) for b in made.as_component_batches()]
            except Exception as error:
                result = type(error)
            finally:
                package.set_strict_mode(False)
        found.append((result, [str(one.message).partition(":")[0] for one in caught]))
    assert found[0] == found[1]


def test_enums(rerun):
    """Each enum of blueprints has rerun's members, in its order, with its values, and finds them as rerun's do."""
    for name, members in ENUMS.items():
        theirs = getattr(rerun.blueprint.components, name, None) or getattr(rerun.blueprint.encodings, name)
        ours = getattr(shmrerun.blueprint.components, name, None) or getattr(shmrerun.blueprint.encodings, name)
        assert [(one.name, one.value) for one in ours] == [(one.name, one.value) for one in theirs] == list(members.items())
        assert all(ours.auto(one.name.lower()) is one is pickle.loads(pickle.dumps(one)) for one in ours)


def test_every_class_pickles():
    """Archetypes, components and encodings of blueprints go through pickle, and are found where they say that they are."""
    for module in (shmrerun.blueprint.archetypes, shmrerun.blueprint.components, shmrerun.blueprint.encodings):
        for name in module.__all__:
            found = getattr(module, name)
            if not name.endswith("Like"):
                assert pickle.loads(pickle.dumps(found)) is found, name
    made = shmrerun.blueprint.archetypes.TensorSliceSelection(width=1, slider=[1])
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize("name", sorted(VISUALIZERS))
def test_visualizers(rerun, name):
    """An archetype's visualizer has rerun's name, its fields as overrides and the mappings that it is given."""
    found = []
    for package in (shmrerun, rerun):
        cls = getattr(package.archetypes, name)
        mapping = package.blueprint.components.VisualizerComponentMapping("a", "default")
        made = (cls([1, 2]) if name == "BarChart" else cls.from_fields()).visualizer(mappings=[mapping])
        assert made.mappings == [mapping]
        assert made.id.version == 4
        found.append(
            (
                made.visualizer_type,
                [(str(b.component_descriptor()), str(b.as_arrow_array().type), b.as_arrow_array().to_pylist()) for b in made.overrides],
            )
        )
    assert found[0] == found[1]
    for name in {*shmrerun.archetypes.__all__} - {*VISUALIZERS}:
        assert not hasattr(getattr(shmrerun.archetypes, name), "visualizer")
