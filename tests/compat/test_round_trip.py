"""Every archetype in every form, logged with shmrerun and with rerun-sdk 0.41, is the same when 0.41 reads it back."""

import os
import subprocess
import sys

import pytest
from helpers import HERE, check, run

from shmrerun.model.tables.archetypes import ARCHETYPES

pytest.importorskip("rerun")

REFUSED = {  # what rerun-sdk 0.41 cannot do and shmrerun can: cases of an archetype, reason
    "BarChart": ("any call without `values` looks for them all the same", ("only_", "partition", "arrow_columns", "columns_", "empty_")),
    "McapStatistics": ("an empty column of channel_message_counts is not implemented", ("cleared", "all_cleared", "clearing_but_")),
}
# Fields that rerun-sdk 0.41 clears with one value that is empty, since its converters take [] for a value; here they have none then
EMPTY_TENSOR = [[{"shape": [0], "names": None, "buffer": []}]]
CLEARED_BY_A_VALUE = {"annotations": [[[]]], "bar_values": EMPTY_TENSOR, "tensor": EMPTY_TENSOR}
DROPPED = (b"rerun:id", b"rerun:heap_size_bytes", b"rerun:is_sorted", b"sorbet:version")  # of one file alone


def read(path):
    """Columns of each entity: type, metadata and values by name. Each is one call of ``log`` or ``send_columns``, so one chunk."""
    from rerun.chunk import RrdReader

    found = {}
    for chunk in RrdReader(path).stream():
        batch = chunk.to_record_batch()
        entity = batch.schema.metadata[b"rerun:entity_path"].decode()
        if not entity.startswith("/__"):
            assert entity not in found
            found[entity] = {
                field.name: (str(field.type), {key: value for key, value in (field.metadata or {}).items() if key not in DROPPED}, column)
                for field, column in zip(batch.schema, batch.columns, strict=True)
                if field.name not in ("rerun.controls.RowId", "log_time")
            }
    return found


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Both files read back, and the cases that rerun-sdk failed in."""
    folder = tmp_path_factory.mktemp("round_trip")
    program = os.path.join(HERE, "compat", "round_trip_program.py")
    theirs, ours = f"{folder}/rerun.rrd", f"{folder}/shmrerun.rrd"
    done = subprocess.run([sys.executable, program, "rerun", theirs], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    result = run(f"import runpy, sys\nsys.argv = ['', 'shmrerun', {ours!r}]\nrunpy.run_path({program!r}, run_name='__main__')", folder)
    assert not result.stdout, result.stdout
    check(ours)
    return read(ours), read(theirs), [line.split()[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", sorted(ARCHETYPES))
def test_archetype(recordings, name):
    """One, several and no instances, cleared fields, partial updates and columns have rerun's descriptors, Arrow types and values."""
    ours, theirs, _ = recordings
    converters = {f"{name}:{field.name}": field.converter for field in ARCHETYPES[name].fields}
    entities = [entity for entity in theirs if entity.startswith(f"/{name}/")]
    assert len(entities) > 2 * len(ARCHETYPES[name].fields)
    for entity in entities:
        if "/empty_" in entity:  # columns without rows: rerun-sdk writes a chunk without rows, shmrerun none
            assert entity not in ours
            continue
        assert {*ours[entity]} == {*theirs[entity]}, entity
        for column, (kind, metadata, values) in theirs[entity].items():
            our_kind, our_metadata, our_values = ours[entity][column]
            assert our_kind == kind, (entity, column)
            assert our_metadata == metadata, (entity, column)
            if "clear" in entity and values.to_pylist() == CLEARED_BY_A_VALUE.get(converters.get(column)):
                assert our_values.to_pylist() == [[]]
            else:
                assert our_values.equals(values), (entity, column)


def test_what_rerun_refuses(recordings):
    """The cases that rerun-sdk fails in are the listed ones; shmrerun logs them, and nothing else that rerun-sdk does not."""
    ours, theirs, failed = recordings
    listed = {case for name, (_, cases) in REFUSED.items() for case in failed if case.startswith(tuple(f"{name}/{c}" for c in cases))}
    assert {*failed} == listed
    assert {entity[1:] for entity in {*ours} - {*theirs}} <= listed
    assert {case for case in failed if "/empty_" not in case} <= {entity[1:] for entity in ours}
