"""Schemas of stores name the columns that rerun-sdk 0.41's name, in the same order, with the same texts."""

import pickle
import warnings

import datafusion
import numpy as np
import pyarrow as pa
import pytest
import rerun
import rerun.chunk as theirs_chunk

import shmrerun as rr
import shmrerun.chunk

PATHS = (
    *("a10", "a2", "a/b", "a-b", "aB", "A", "a", "a/b/c", "__props/x", "__properties_x", "Z", "a\\:b", "ab", "a\\ b", "é", "/", "a10/2"),
    *("a\\ 1", "002", "2", "10", "01", "1", "0x", "x1.02", "x1.1", "x1.1/y", "x01", "_", "~", "a~", "a00", "a0"),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Recordings of the real rerun-sdk: one of many entities, and one of all kinds of columns."""
    folder = tmp_path_factory.mktemp("schemas")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        many = rerun.RecordingStream("a", recording_id="b")
        many.save(folder / "many.rrd")
        for path in PATHS:
            many.set_time("step", sequence=1)
            many.log(path, rerun.AnyValues(z=1, b=2), rerun.Scalars(1))
        for name in ("a10", "a2", "x y"):
            many.send_property(name, rerun.AnyValues(q=1))
        archetypes = [rerun.DynamicArchetype("B", components={"x": 1}), rerun.DynamicArchetype("A", components={"y": 1})]
        many.log("dyn", *archetypes, rerun.AnyValues(A=1, C=1))
        many.disconnect()
        kinds = rerun.RecordingStream("a", recording_id="b")
        kinds.save(folder / "kinds.rrd")
        for i in range(3):
            kinds.set_time("step", sequence=i)
            kinds.set_time("t", duration=i)
            kinds.log("points", rerun.Points3D(np.zeros((3, 3)), colors=[1, 2, 3]))
        kinds.log("points", rerun.Points3D([], radii=[]))
        kinds.log("st", rerun.TextLog("x"), static=True)
        kinds.log("both", rerun.Scalars(1.0), static=True)
        kinds.log("both", rerun.Scalars(2.0))
        kinds.log("points", rerun.Clear(recursive=True))
        kinds.disconnect()
    return folder


def schemas(path, chunk):
    store = chunk.RrdReader(path).store()
    return store.schema(), store.stream().collect().schema()


@pytest.mark.parametrize("name", ["many.rrd", "kinds.rrd"])
def test_schemas(files, name):
    """Of a file and of chunks in memory: columns, order, texts, types and metadata."""
    for ours, theirs in zip(schemas(files / name, shmrerun.chunk), schemas(files / name, theirs_chunk), strict=True):
        assert ours.column_names() == theirs.column_names()
        assert repr(ours) == repr(theirs)
        assert [repr(column) for column in ours] == [repr(column) for column in theirs]
        assert pa.schema(ours).equals(pa.schema(theirs), check_metadata=True)
        assert ours.to_arrow().equals(theirs.to_arrow(), check_metadata=True)
        names = ("name", "entity_path", "archetype", "component_type", "component", "is_static", "is_property")
        for mine, other in zip(ours.component_columns(), theirs.component_columns(), strict=True):
            assert [getattr(mine, name) for name in names] == [getattr(other, name) for name in names]
        assert [(one.name, one.is_static) for one in ours.index_columns()] == [(one.name, one.is_static) for one in theirs.index_columns()]
        for said in ({}, {"include_properties": True}):
            for method in ("entity_paths", "archetypes", "component_types", "column_names_for"):
                assert getattr(ours, method)(**said) == getattr(theirs, method)(**said)


def test_schemas_are_equal(files):
    """A file's schema and that of its chunks are equal; another file's is another one."""
    lazy, whole = schemas(files / "kinds.rrd", shmrerun.chunk)
    assert lazy == whole
    assert lazy != schemas(files / "many.rrd", shmrerun.chunk)[0]
    assert lazy != 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(lazy)
    assert repr(shmrerun.chunk.ChunkStore.from_chunks([]).schema()) == repr(theirs_chunk.ChunkStore.from_chunks([]).schema()) == ""


def test_finding_columns(files):
    """Columns of an entity, an archetype, a type; one of a text or a selector."""
    (ours, _), (theirs, _) = schemas(files / "kinds.rrd", shmrerun.chunk), schemas(files / "kinds.rrd", theirs_chunk)
    wanted = [
        {"entity_path": "/points"},
        {"archetype": "Points3D"},
        {"archetype": "rerun.archetypes.Clear"},
        {"archetype": "archetypes.Clear"},
        {"component_type": "rerun.components.Color"},
        {"entity_path": "/both", "archetype": "Points3D"},
    ]
    for said in wanted:
        assert ours.column_names_for(**said) == theirs.column_names_for(**said)
    found = ours.columns_for(archetype=rr.Points3D)
    assert (
        [one.name for one in found] == theirs.column_names_for(archetype=rerun.Points3D) == ours.column_names_for(archetype=rerun.Points3D)
    )
    assert ours.column_for_selector(found[0]) is found[0]
    for path, component in (("points", "Points3D:colors"), ("/points", "nope"), ("/__properties", "RecordingInfo:start_time")):
        assert repr(ours.column_for(path, component)) == repr(theirs.column_for(path, component))
    for selector in ("/points:Points3D:colors", "st:TextLog:text", rerun.catalog.ComponentColumnSelector("/both", "Scalars:scalars")):
        assert repr(ours.column_for_selector(selector)) == repr(theirs.column_for_selector(selector))
    for selector, error in (("/points:colors", LookupError), ("/points", ValueError), ("", ValueError), (3, TypeError), (None, TypeError)):
        for schema in (ours, theirs):
            with pytest.raises(error):
                schema.column_for_selector(selector)


def test_tables_of_datafusion(files):
    """A store has no reader, and says what to use instead, which is a DataFusion table of the recording."""
    store = shmrerun.chunk.RrdReader(files / "kinds.rrd").stream().collect()
    with pytest.raises(AttributeError, match=r"here, write the chunks by write_rrd, and take datafusion\.SessionContext\(\)\.from_arrow"):
        _ = store.reader
    with pytest.raises(AttributeError, match=r"'ChunkStore' object has no attribute 'nothing'$"):
        _ = store.nothing
    assert isinstance(pickle.loads(pickle.dumps(store)), shmrerun.chunk.ChunkStore)
    store.write_rrd(files / "again.rrd", application_id="a", recording_id="b")
    table = datafusion.SessionContext().from_arrow(rr.read(files / "again.rrd").view("step", "/points"))
    rows = table.filter(datafusion.col("step") >= datafusion.lit(1)).select("step", '"/points:Points3D:positions"').to_arrow_table()
    other = theirs_chunk.RrdReader(files / "kinds.rrd").stream().collect().reader("step", contents="/points").to_arrow_table()
    name = "/points:Points3D:positions"
    logged = [row for row in rows.to_pylist() if row[name]]
    assert logged[:1] == [row for row in other.select(["step", name]).to_pylist() if row["step"] == 1]
