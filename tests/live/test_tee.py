"""Several sinks at once, and one after the other under load."""

from __future__ import annotations

import time

from helpers import check, read_rows, run, scalars, start
from helpers_live import chunks_of, free_port, read_by_grpc, rerun, url


def test_all_at_once(tmp_path):
    """A file, its copy, a viewer and a server get the same chunks, byte for byte; after the next call only its sinks get rows."""
    port = free_port()
    with rerun("--serve-grpc", tmp_path=tmp_path) as (_, viewer):
        program = f"""
import multiprocessing, os, time
import shmrerun as rr
def work(number):
    for i in range(400):
        rr.set_time("step", sequence=i); rr.log(f"rows/{{number}}", rr.Scalars(i))
rr.init("live"); rr.log("before", rr.Scalars(1))
rr.set_sinks(rr.GrpcSink("{url(viewer)}"), rr.FileSink("a.rrd"), rr.GrpcServerSink(port={port}), rr.FileSink("b.rrd"))
found = [multiprocessing.get_context("fork").Process(target=work, args=(n,)) for n in range(3)]
for process in found: process.start()
for process in found: process.join()
rr.get_global_data_recording().flush()
open("logged", "w").close()
while not os.path.exists("go"): time.sleep(0.02)
rr.save("c.rrd"); rr.log("alone", rr.Scalars(2))
"""
        running = start(program, tmp_path)
        while not (tmp_path / "logged").exists():
            assert running.process.poll() is None, running.output()
            time.sleep(0.02)
        log, _ = chunks_of(tmp_path / "a.rrd")
        assert read_by_grpc(port, tmp_path / "served.rrd", len(log)) == len(log)
        assert read_by_grpc(viewer, tmp_path / "viewed.rrd", len(log)) == len(log)
        (tmp_path / "go").touch()
        assert running.wait().stderr == ""
        for name in ("b", "served", "viewed"):
            assert chunks_of(tmp_path / f"{name}.rrd")[0] == log, name
    rows = check(tmp_path / "a.rrd")
    check(tmp_path / "b.rrd")
    for number in range(3):
        assert sorted(scalars(rows, f"/rows/{number}")) == list(range(400))
    assert scalars(check(tmp_path / "c.rrd"), "/alone") == [2]
    assert "/alone" not in rows


def test_switches_under_load(tmp_path):
    """Buffer, file, viewer, server, nothing, file, while a worker logs: each row is in one of them, and in one only."""
    with rerun("--serve-grpc", tmp_path=tmp_path) as (_, viewer):
        port = free_port()
        result = run(
            f"""
import multiprocessing, os, sys, time
import shmrerun as rr
def work(stop):
    i = 0
    while not stop.is_set() or i < 1000:
        rr.set_time("step", sequence=i); rr.log("rows", rr.Scalars(i)); i += 1
        if i % 5 == 0: time.sleep(0.002)
    print(i, flush=True)
if __name__ == "__main__":
    rr.init("live")
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    worker = context.Process(target=work, args=(stop,)); worker.start()
    time.sleep(0.2)
    for round in range(3):
        rr.save(f"a{{round}}.rrd"); time.sleep(0.1)
        rr.connect_grpc("{url(viewer)}"); time.sleep(0.1)
        rr.disconnect(); time.sleep(0.05)
        rr.save(f"b{{round}}.rrd"); time.sleep(0.1)
    stop.set(); worker.join()
    assert rr.get_global_data_recording()._stream.session.words.dropped_limit == 0
    rr.serve_grpc(grpc_port={port}); rr.log("end", rr.Scalars(1))
""",
            tmp_path,
        )
        count = int(result.stdout)
        read_by_grpc(viewer, tmp_path / "viewed.rrd", 1 << 30, seconds=6)
    found = scalars(read_rows(tmp_path / "viewed.rrd"), "/rows")
    assert found
    for name in [f"{letter}{number}" for number in range(3) for letter in "ab"]:
        found += scalars(check(tmp_path / f"{name}.rrd"), "/rows")
    assert sorted(found) == list(range(count))
