"""`notebook_show` in a real Jupyter kernel, headless: the test is the front end."""

import os
import sys
import time
import warnings

import pytest
from helpers import HERE, MARK, RUN, RUNTIME, check, read_rows, run, scalars

from shmrerun import testing


def test_without_the_package(tmp_path):
    """Without rerun-notebook the error is Rerun's, and no sink was set."""
    run(
        """
        import sys
        sys.modules["rerun_notebook"] = None
        import shmrerun as rr
        rr.init("app")
        try:
            rr.notebook_show()
            raise SystemExit("no error")
        except Exception as error:
            assert str(error) == "Could not import rerun_notebook. Please install `rerun-notebook`.", error
        rr.log("x", rr.Scalars(1))
        rr.save("out.rrd")
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/x") == [1]


class Kernel:
    """A kernel and its front end, which has a widget as soon as the kernel shows one."""

    def __init__(self, tmp_path):
        from jupyter_client import KernelManager

        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SHMRERUN", "RERUN", "_RERUN"))}
        environment |= {MARK: f"{RUN}:{tmp_path}/kernel", RUNTIME: os.environ[RUNTIME], "PYTHONPATH": HERE}
        environment |= {"RERUN_NOTEBOOK_ASSET": "http://localhost:1/widget.js"}  # nobody looks; the package's own takes 5 s to load
        environment |= {"IPYTHONDIR": f"{tmp_path}/ipython", "JUPYTER_RUNTIME_DIR": f"{tmp_path}/jupyter"}
        self.manager = KernelManager()
        self.manager.kernel_spec.argv[0] = sys.executable
        self.manager.start_kernel(cwd=str(tmp_path), env=environment)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60 * testing.load())
        self.widgets = {}  # comm id: pieces
        self.busy = 0  # pieces that came while a cell ran

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()

    def ready(self, comm):
        """The front end has made a view of a widget."""
        self._send("comm_msg", {"comm_id": comm, "data": {"method": "custom", "content": "ready"}})

    def gone(self, comm):
        """The front end closes a widget."""
        self._send("comm_close", {"comm_id": comm, "data": {}})

    def _send(self, kind, content):
        self.client.shell_channel.send(self.client.session.msg(kind, content))

    def _take(self, message):
        content = message["content"]
        if message["msg_type"] == "comm_open" and "_esm" in content["data"].get("state", {}):
            self.widgets[content["comm_id"]] = []
        elif message["msg_type"] == "comm_msg" and content["comm_id"] in self.widgets and content["data"].get("method") == "custom":
            assert content["data"]["content"] == {"type": "rrd"}
            self.widgets[content["comm_id"]].append(b"".join(bytes(part) for part in message["buffers"]))
            return 1
        return 0

    def _next(self):
        import queue

        try:
            return self.client.get_iopub_msg(timeout=0.2)
        except queue.Empty:
            return None

    def run(self, code, deadline=60):
        """Run a cell to its end; returns how many pieces came meanwhile. Every widget that it shows is ready at once."""
        asked, pieces, end = self.client.execute(code), 0, time.monotonic() + deadline * testing.load()
        known = set(self.widgets)
        while time.monotonic() < end:
            message = self._next()
            if message is None:
                continue
            pieces += self._take(message)
            assert message["msg_type"] != "error", "\n".join(message["content"]["traceback"])
            if message["content"].get("execution_state") == "idle" and message["parent_header"].get("msg_id") == asked:
                for comm in set(self.widgets) - known:
                    self.ready(comm)
                return pieces
        raise AssertionError("the cell does not end")

    def until(self, done, what):
        """Take what comes, without a running cell, until something is there."""
        end = time.monotonic() + 30 * testing.load()
        while not done():
            assert time.monotonic() < end, what
            message = self._next()
            if message is not None:
                self._take(message)


@pytest.fixture
def kernel(tmp_path):
    for name in ("jupyter_client", "ipykernel", "rerun_notebook"):
        pytest.importorskip(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jupyter's own
        kernel = Kernel(tmp_path)
        try:
            yield kernel
        finally:
            kernel.close()


def rows_of(pieces, path):
    """All pieces as one recording: each begins with a stream header and holds whole messages."""
    assert all(piece[:4] == b"RRF2" for piece in pieces)
    path.write_bytes(pieces[0] + b"".join(piece[12:] for piece in pieces[1:]) if pieces else b"")
    rows = read_rows(path) if pieces else {}
    ids = [row["row_id"] for found in rows.values() for row in found]
    assert len(set(ids)) == len(ids), "a row is there twice"
    return rows


SETUP = """
import multiprocessing, os, time
import numpy as np
import shmrerun as rr
rr.init("notebook")
def work(k, n):
    for i in range(n):
        rr.log(f"worker/{k}", rr.Scalars(i))
        time.sleep(0.002)
"""
FORK = """
workers = [multiprocessing.get_context("fork").Process(target=work, args=(k, 100)) for k in NUMBERS]
[w.start() for w in workers]
"""
WORKERS = FORK + "\n[w.join() for w in workers]\n"


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a file"])
def test_rows_reach_the_widget(kernel, tmp_path, beside):
    """Rows of a busy cell, of forked workers and of a time without a cell reach the widget live, each once; a file gets them as well."""
    kernel.run(SETUP + "rr.log('early', rr.Scalars(1))" + ("\nrr.save('out.rrd')" if beside else ""))
    kernel.run("rr.notebook_show(width=300, height='auto')\nrr.log('same', rr.Scalars(2))")
    [pieces] = kernel.widgets.values()
    path = tmp_path / "seen.rrd"
    kernel.until(lambda: "/same" in rows_of(pieces, path), "what was logged before the front end was ready")
    busy = kernel.run("for i in range(300):\n    rr.log('busy', rr.Scalars(i))\n    time.sleep(0.003)")
    assert busy >= 3
    shared = kernel.run(WORKERS.replace("NUMBERS", "range(3)"))
    assert shared >= 1
    kernel.run(FORK.replace("NUMBERS", "[7]"))
    kernel.run("rr.log('large', rr.Image(np.random.default_rng(0).integers(0, 255, (1000, 2000, 3), np.uint8)))")
    kernel.until(lambda: len(scalars(rows_of(pieces, path), "/worker/7")) == 100, "rows that were logged while no cell ran")
    kernel.until(lambda: "/large" in rows_of(pieces, path), "a row that is larger than a piece")
    found = rows_of(pieces, path)  # which checks that no row is there twice
    assert scalars(found, "/early") == [1]
    assert scalars(found, "/same") == [2]
    assert sorted(scalars(found, "/busy")) == list(range(300))
    for k in (0, 1, 2, 7):
        assert sorted(scalars(found, f"/worker/{k}")) == list(range(100))
    if beside:
        kernel.run("rr.disconnect()")
        whole = check(tmp_path / "out.rrd")
        assert {entity: len(rows) for entity, rows in whole.items()} == {entity: len(rows) for entity, rows in found.items()}


def test_several_widgets(kernel, tmp_path):
    """Each call shows a widget that gets all from the beginning; a page that is loaded anew gets it again; closed ones end the sink."""
    kernel.run(SETUP + "rr.log('x', rr.Scalars(1))\nrr.notebook_show()")
    kernel.run("rr.log('x', rr.Scalars(2))\nrr.notebook_show()")
    first, second = kernel.widgets
    path = tmp_path / "seen.rrd"
    for comm in (first, second):
        kernel.until(lambda comm=comm: scalars(rows_of(kernel.widgets[comm], path), "/x") == [1, 2], "both rows in both")
    kernel.widgets[first].clear()
    kernel.ready(first)
    kernel.until(lambda: scalars(rows_of(kernel.widgets[first], path), "/x") == [1, 2], "all of it again")
    kernel.gone(second)
    kernel.run("rr.log('x', rr.Scalars(3))")
    kernel.until(lambda: scalars(rows_of(kernel.widgets[first], path), "/x") == [1, 2, 3], "the first goes on")
    assert scalars(rows_of(kernel.widgets[second], path), "/x") == [1, 2]
    kernel.gone(first)
    kernel.run(
        """
        import threading
        from shmrerun.testing import wait_until
        wait_until(lambda: not [t for t in threading.enumerate() if t.name == "shmrerun notebook"], 20, "the thread's end")
        from shmrerun.producer.active import active_stream
        assert active_stream(None).live().active_sink() is None
        rr.log('x', rr.Scalars(4))
        rr.save('late.rrd')
        rr.disconnect()
        """
    )
    assert scalars(check(tmp_path / "late.rrd"), "/x") == [4]


def test_shown_and_ended_in_one_cell(kernel, tmp_path):
    """A cell that shows, logs and disconnects: the widget, which is ready only afterwards, gets all of it, and its thread ends."""
    kernel.run(SETUP + "rr.save('out.rrd')\nrr.notebook_show()\nfor i in range(50):\n    rr.log('x', rr.Scalars(i))\nrr.disconnect()")
    [pieces] = kernel.widgets.values()
    path = tmp_path / "seen.rrd"
    kernel.until(lambda: scalars(rows_of(pieces, path), "/x") == list(range(50)), "all rows")
    assert scalars(check(tmp_path / "out.rrd"), "/x") == list(range(50))


def test_a_view_as_the_value_of_a_cell(kernel, tmp_path):
    """A view, a container or a blueprint at the end of a cell shows the recording in a widget, laid out by it."""
    from rerun.chunk import RrdReader

    kernel.run(SETUP + "import shmrerun.blueprint as rrb\nrr.log('x', rr.Scalars(1))")
    kernel.run("rrb.TimeSeriesView(origin='/x', name='Mine')")
    assert len(kernel.widgets) == 1
    (comm,) = kernel.widgets
    path = tmp_path / "widget.rrd"

    def names():
        """Names of the views that the widget has got."""
        pieces = kernel.widgets[comm]
        path.write_bytes(pieces[0] + b"".join(piece[12:] for piece in pieces[1:]) if pieces else b"")
        reader = RrdReader(str(path)) if pieces else None
        stores = reader.blueprints() if reader is not None else []
        batches = [chunk.to_record_batch() for store in stores for chunk in reader.stream(store=store)]
        column = "ViewBlueprint:display_name"
        return [name for batch in batches if column in batch.schema.names for (name,) in batch.column(column).to_pylist()]

    kernel.until(lambda: names() == ["Mine"], "the blueprint comes")
    assert scalars(rows_of(kernel.widgets[comm], path), "/x") == [1]
