"""Rows of one entity that differ in their components share chunks where their Arrow types agree, as in Rerun."""

from __future__ import annotations

import pytest
from helpers import check, chunks, has_footer, run, scalars

PIECEMEAL = """
    import os, sys
    import {library} as rr

    rr.init("piecemeal", recording_id="piecemeal")
    rr.save(sys.argv[1])
    for i in range(40):
        rr.set_time("step", sequence=i)
        if i % 4 == 0:
            rr.log("thing", rr.Transform3D.from_fields(translation=[i, 0, 0]))
        elif i % 4 == 1:
            rr.log("thing", rr.Transform3D.from_fields(scale=[i, 1, 1]))
        elif i % 4 == 2:
            rr.log("thing", rr.Points3D.from_fields(radii=[i, i + 0.5]))
        else:
            rr.log("thing", rr.Transform3D.from_fields(translation=[i, 1, 0]))
    rr.log("two", rr.AnyValues(a=[1.0], b=["x"]))
    rr.log("two", rr.AnyValues(a=[2.0], c=["y"]))
    rr.log("two", rr.AnyValues(d=[3.0], b=["z", "zz"]))
    rr.log("unlike", rr.AnyValues(p=[1]))
    rr.log("unlike", rr.AnyValues(q=["text"]))
    rr.log("tensors", rr.Tensor(__import__("numpy").arange(6, dtype="uint8").reshape(2, 3)))
    rr.log("tensors", rr.DynamicArchetype("Mine", components={{"tensor": rr.components.TensorDataBatch(
        rr.TensorData(array=__import__("numpy").arange(4, dtype="float32")))}}))
    rr.disconnect()
"""


def values(rows, entity):
    """Each row of an entity without its ids and the times that differ between runs."""
    return [
        {k: v for k, v in row.items() if k not in ("row_id", "chunk", "log_time", "log_tick") and v is not None} for row in rows[entity]
    ]


def test_rows_of_unlike_components_share_a_chunk_as_in_rerun(tmp_path):
    """Entities that are logged piecemeal have the rows, values and chunks that rerun-sdk writes."""
    pytest.importorskip("rerun")
    found = {}
    for library in ("rerun", "shmrerun"):
        one_batch = {"RERUN_FLUSH_TICK_SECS": "60"}  # whatever the machine does meanwhile
        run(PIECEMEAL.format(library=library), tmp_path, arguments=(f"{library}.rrd",), name=library, env=one_batch)
        found[library] = check(tmp_path / f"{library}.rrd")
    theirs, ours = found["rerun"], found["shmrerun"]
    for entity in ("/thing", "/two", "/unlike", "/tensors"):
        by_step = [sorted(values(rows, entity), key=repr) for rows in (theirs, ours)]
        assert by_step[0] == by_step[1], entity
    assert len({row["chunk"] for row in ours["/thing"]}) == 2  # vectors; radii
    assert len({row["chunk"] for row in ours["/two"]}) == 1
    assert len({row["chunk"] for row in ours["/unlike"]}) == 2
    assert chunks(ours) <= chunks(theirs) + 1


def test_many_pieces_from_many_processes_while_the_aggregator_dies(tmp_path):
    """Sparse chunks hold each row once, in order, whoever logged it and however often the aggregator is killed."""
    run(
        """
        import multiprocessing, os, random, signal, time
        import shmrerun as rr
        from shmrerun.testing import aggregator_pid, load
        from helpers_programs import own_tree

        def work(n):
            for i in range(600):
                value = n * 1000 + i
                rr.log("one", rr.AnyValues(**{"abcd"[i % 4]: [float(value)]}))
                rr.log("rows", rr.Scalars(value))
                if i % 50 == 0:
                    time.sleep(0.02)

        if __name__ == "__main__":
            rr.init("pieces")
            rr.save("out.rrd")
            workers = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(4)]
            for worker in workers:
                worker.start()
            while any(worker.is_alive() for worker in workers):
                time.sleep(0.15 * load())
                pid = aggregator_pid(own_tree())
                if pid:
                    os.kill(pid, signal.SIGKILL)
            for worker in workers:
                worker.join()
        """,
        tmp_path, deadline=90,
    )  # fmt: skip
    rows = check(tmp_path / "out.rrd")
    assert has_footer(tmp_path / "out.rrd")
    expected = sorted(n * 1000 + i for n in range(4) for i in range(600))
    assert sorted(scalars(rows, "/rows")) == expected
    found = {name: [row[name][0] for row in rows["/one"] if row.get(name)] for name in "abcd"}
    assert sorted(int(value) for values in found.values() for value in values) == expected
    assert {int(value) % 1000 % 4 for value in found["b"]} == {1}
