"""Blueprints in a recording: real ones, from any process, once, and readable by Rerun's own tools."""

from __future__ import annotations

import pytest
from helpers import check, run, scalars, start, trees
from helpers_rrd import rerun, tables

from shmrerun import framing
from shmrerun.rrd import decoder, encoder, proto
from shmrerun.testing import wait_until

rrb = pytest.importorskip("rerun.blueprint")


@pytest.fixture
def plan(tmp_path):
    """A blueprint's file as rerun-sdk writes it."""
    made = rrb.Blueprint(rrb.Horizontal(rrb.Spatial3DView(origin="/"), rrb.TimeSeriesView(origin="/a")), rrb.TimePanel(state="collapsed"))
    path = tmp_path / "plan.rbl"
    made.save("another application", path)
    return path


def messages(path, kind, cls):
    """Messages of a kind, decoded."""
    with open(path, "rb") as file:
        found = [decoder.read_payload(file.fileno(), m) for m in decoder.scan(file.fileno()) if m.kind == kind]
    return [cls.FromString(payload) for payload in found]


def activations(path):
    return [
        (command.blueprint_id.application_id.id, command.make_active, command.make_default)
        for command in messages(path, framing.BLUEPRINT_ACTIVATION, proto.BlueprintActivationCommand)
    ]


LAYOUT = (
    'rrb.Blueprint(rrb.Horizontal(rrb.Spatial3DView(background=[1, 2, 3], overrides={"a": m.Points3D.from_fields(radii=1)}), '
    'rrb.TimeSeriesView(axis_y=rrb.ScalarAxis(range=(0, 1)))), rrb.TimePanel(state="collapsed", play_state="playing"))'
)


def stored(path):
    """Entities of each blueprint in a file, and whether the file is sound."""
    from rerun.chunk import RrdReader

    assert rerun("rrd", "verify", path).returncode == 0
    reader = RrdReader(str(path))
    return [sorted(chunk.entity_path for chunk in reader.stream(store=store)) for store in reader.blueprints()]


@pytest.mark.parametrize("package", ["shmrerun", "rerun"])
@pytest.mark.parametrize("how", ["send", "default", "init", "worker", "spawned", "view", "container", "sinks", "memory"])
def test_objects_are_sent_as_files_are(tmp_path, package, how):
    """A Blueprint, a view and a container, ours or rerun-sdk's, go wherever the bytes of a blueprint go."""
    source = f"""
        import multiprocessing, os, sys
        import shmrerun as rr
        import {package} as m
        import {package}.blueprint as rrb

        def layout():
            return {LAYOUT}

        def work(given):
            rr.send_blueprint(given)

        def main():
            out, how = sys.argv[1:]
            made = layout()
            if how == "view":
                made = made.root_container.contents[0]
            elif how == "container":
                made = made.root_container
            rr.init("app", default_blueprint=made if how == "init" else None)
            if how == "sinks":
                rr.set_sinks(rr.FileSink(out), default_blueprint=made)
            elif how == "memory":
                found = rr.memory_recording()
            else:
                rr.save(out, default_blueprint=made if how in ("default", "view") else None)
            rr.log("a", rr.Scalars(0))
            if how in ("send", "container", "memory"):
                rr.send_blueprint(made, make_active=False)
            elif how == "worker":
                pid = os.fork()
                if pid == 0:
                    rr.send_blueprint(made)
                    os.kill(os.getpid(), 9)
                os.waitpid(pid, 0)
            elif how == "spawned":
                process = multiprocessing.get_context("spawn").Process(target=work, args=(made,))
                process.start()
                process.join()
                assert process.exitcode == 0
            if how == "memory":
                with open(out, "wb") as file:
                    file.write(found.drain_as_bytes())

        if __name__ == "__main__":
            main()
    """
    run(source, tmp_path, arguments=(tmp_path / "out.rrd", how))
    (entities,) = stored(tmp_path / "out.rrd")
    counts = [sum(entity.startswith(kind) for entity in entities) for kind in ("/view/", "/container/", "/viewport", "/time_panel")]
    assert counts == ([6, 1, 1, 0] if how == "view" else [9, 1, 1, 0] if how == "container" else [9, 1, 1, 2])
    assert scalars(check(tmp_path / "out.rrd"), "/a") == [0]
    infos = [m.info.store_id.kind for m in messages(tmp_path / "out.rrd", framing.SET_STORE_INFO, proto.SetStoreInfo)]
    assert infos == ([2, 1] if how in ("default", "view", "sinks", "init") else [1, 2]), "a default blueprint comes before the recording"
    sent = {"send": (False, True), "container": (False, True), "memory": (False, True), "worker": (True, True), "spawned": (True, True)}
    assert activations(tmp_path / "out.rrd") == [("app", *sent.get(how, (False, True)))]


def check_both(path, plan):
    """The file has a recording and the blueprint of its application, and both in the footer; returns the recording's rows."""
    rows = check(path)
    assert rerun("rrd", "print", path).returncode == 0
    chunks = {}
    for message in messages(path, framing.ARROW_MSG, proto.ArrowMsg):
        chunks.setdefault(message.store_id.SerializeToString(), set()).add((message.chunk_id.time_ns, message.chunk_id.inc))
    stores = [proto.StoreId.FromString(store) for store in chunks]
    assert sorted((store.kind, store.application_id.id) for store in stores) == [(1, "app"), (2, "app")]
    footer = {store.SerializeToString(): table.num_rows for store, _, table in tables(path)}
    assert footer == {store: len(found) for store, found in chunks.items()}
    sent = {(m.chunk_id.time_ns, m.chunk_id.inc) for m in messages(plan, framing.ARROW_MSG, proto.ArrowMsg)}
    assert chunks[next(store for store in chunks if proto.StoreId.FromString(store).kind == 2)] == sent
    return rows


@pytest.mark.parametrize("how", ["default", "worker", "bytes", "init"])
def test_a_blueprint_is_in_the_file(tmp_path, plan, how):
    """Sent with the sink, from a forked worker, as bytes, or with init: the file has both stores, and a footer for both."""
    run(
        """
        import os, sys
        import shmrerun as rr
        out, plan, how = sys.argv[1:]
        rr.init("app", default_blueprint=plan if how == "init" else None)
        rr.save(out, default_blueprint=plan if how == "default" else None)
        rr.log("a", rr.Scalars(0))
        if how == "worker":
            pid = os.fork()
            if pid == 0:
                rr.send_blueprint(plan, make_default=False)
                os.kill(os.getpid(), 9)
            os.waitpid(pid, 0)
        elif how == "bytes":
            with open(plan, "rb") as file:
                rr.get_global_data_recording().send_blueprint(file.read(), make_active=False)
        rr.log("a", rr.Scalars(1))
        """,
        tmp_path, arguments=(tmp_path / "out.rrd", plan, how),
    )  # fmt: skip
    rows = check_both(tmp_path / "out.rrd", plan)
    assert sorted(scalars(rows, "/a")) == [0, 1]
    assert activations(tmp_path / "out.rrd") == [("app", how == "worker", how != "worker")]


def test_chunks_are_relayed_untouched(tmp_path, plan):
    """The chunks of the blueprint's file are in the recording's byte for byte."""
    run(
        """
        import sys
        import shmrerun as rr
        rr.init("another application", send_properties=False)
        rr.save(sys.argv[1])
        rr.send_blueprint(sys.argv[2])
        """,
        tmp_path, arguments=(tmp_path / "out.rrd", plan),
    )  # fmt: skip
    payloads = [{m.payload for m in messages(path, framing.ARROW_MSG, proto.ArrowMsg)} for path in (tmp_path / "out.rrd", plan)]
    assert payloads[0] == payloads[1] != set()
    assert activations(tmp_path / "out.rrd") == [("another application", True, True)]


def test_every_file_of_a_recording_gets_it(tmp_path, plan):
    """set_sinks takes a default blueprint, for all of its files; one that was sent before any sink waits for it, as rows do."""
    run(
        """
        import sys
        import shmrerun as rr
        rr.init("app")
        rr.log("a", rr.Scalars(0))
        rr.set_sinks(rr.FileSink(sys.argv[1]), rr.FileSink(sys.argv[2]), default_blueprint=sys.argv[3])
        """,
        tmp_path, arguments=(tmp_path / "one.rrd", tmp_path / "two.rrd", plan),
    )  # fmt: skip
    for name in ("one", "two"):
        check_both(tmp_path / f"{name}.rrd", plan)


def test_errors_leave_the_program_as_it_was(tmp_path, plan):
    """What is no blueprint raises before the sink changes; without a recording there is no application to send one to."""
    done = run(
        """
        import sys
        import shmrerun as rr
        def fails(call, *types):
            try:
                call()
            except types as error:
                print(type(error).__name__)
            else:
                raise AssertionError
        fails(lambda: rr.send_blueprint(sys.argv[2]), ValueError)
        rr.init("app")
        fails(lambda: rr.save(sys.argv[1], default_blueprint=object()), TypeError)
        fails(lambda: rr.save(sys.argv[1], default_blueprint=b"nothing"), ValueError)
        fails(lambda: rr.send_blueprint("/nowhere"), OSError)
        """,
        tmp_path, arguments=(tmp_path / "out.rrd", plan),
    )  # fmt: skip
    assert done.stdout.split() == ["ValueError", "TypeError", "ValueError", "FileNotFoundError"]
    assert not (tmp_path / "out.rrd").exists()


KILLS = """
    import os, signal, sys
    import shmrerun as rr
    from shmrerun.producer.messages import send_messages
    from shmrerun.rrd.encoder import frame
    from shmrerun.testing import aggregator_pid
    from helpers_programs import own_tree

    out, plan = sys.argv[1:]
    rr.init("app")
    rr.save(out)
    rr.log("a", rr.Scalars(0))
    rr.get_global_data_recording().flush()
    stream = rr.get_global_data_recording()._stream
    tree = own_tree()
    big = os.urandom(1 << 20)
    for number in range(1, 13):
        pid = os.fork()
        if pid == 0:  # each worker sends messages in rows, and dies with the last one
            rr.send_blueprint(plan)
            for part in range(20):
                number_of = (number * 100 + part).to_bytes(8, "little")
                payload = number_of + big[: (part % 4) * 250_000]
                send_messages(stream, frame(3, payload) + frame(3, b"x" + payload))
                rr.log("a", rr.Scalars(number * 100 + part))
            os.kill(os.getpid(), 9)
        os.waitpid(pid, 0)
        first = aggregator_pid(tree)
        if first:
            os.kill(first, signal.SIGKILL)
        rr.log("a", rr.Scalars(number * 100 + 50))
        if number % 3 == 0:
            rr.get_global_data_recording().flush()  # a new one by now
    rr.get_global_data_recording().flush()
"""


@pytest.mark.timeout(180)
def test_each_message_once_though_the_aggregator_is_killed(tmp_path, plan):
    """Rounds of workers that send messages and are killed, and with them the aggregator: every message once, in each sender's order."""
    start(KILLS, tmp_path, arguments=(tmp_path / "out.rrd", plan), deadline=150).wait()
    wait_until(lambda: not trees(), 20, "the last aggregator has finished")
    with open(tmp_path / "out.rrd", "rb") as file:
        found = [decoder.read_payload(file.fileno(), m) for m in decoder.scan(file.fileno()) if m.kind == framing.BLUEPRINT_ACTIVATION]
    numbers = [int.from_bytes(payload[:8], "little") for payload in found if payload[0:1] != b"x" and len(payload) % 250_000 == 8]
    marked = [int.from_bytes(payload[1:9], "little") for payload in found if payload[0:1] == b"x"]
    expected = [number * 100 + part for number in range(1, 13) for part in range(20)]
    assert sorted(numbers) == sorted(marked) == expected
    assert len(found) == 2 * len(expected) + 12
    for number in range(1, 13):
        of_one = [value for value in numbers if value // 100 == number]
        assert of_one == sorted(of_one)
    chunks = [(m.chunk_id.time_ns, m.chunk_id.inc) for m in messages(tmp_path / "out.rrd", framing.ARROW_MSG, proto.ArrowMsg)]
    plans = {(m.chunk_id.time_ns, m.chunk_id.inc) for m in messages(plan, framing.ARROW_MSG, proto.ArrowMsg)}
    assert {chunks.count(chunk) for chunk in plans} == {12}
    rows = [
        value.as_py()[0]
        for _, arrow_msg, batch in decoder.batches(tmp_path / "out.rrd")
        if arrow_msg.store_id.kind == encoder.RECORDING and batch.schema.metadata[b"rerun:entity_path"] == b"/a"
        for value in batch.column("Scalars:scalars")
    ]
    assert sorted(rows) == [0, *sorted([*expected, *(number * 100 + 50 for number in range(1, 13))])]
