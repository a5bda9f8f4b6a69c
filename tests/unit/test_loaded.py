"""Modules that another thread is importing at this moment."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

from shmrerun.loaded import loaded

SLOW = """
import threading
begun, go_on = threading.Event(), threading.Event()
begun.set()
go_on.wait(30)
value = 1
"""


def test_a_module_counts_when_it_is_whole(tmp_path, monkeypatch):
    """Not while a thread imports it; afterwards, and what has no spec, at once."""
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert loaded("slow_to_import") is None
    thread = threading.Thread(target=__import__, args=("slow_to_import",))
    thread.start()
    while "slow_to_import" not in sys.modules or not hasattr(sys.modules["slow_to_import"], "go_on"):
        pass
    half = sys.modules["slow_to_import"]
    assert half.begun.wait(30)
    assert loaded("slow_to_import") is None
    half.go_on.set()
    thread.join()
    assert loaded("slow_to_import") is half
    assert loaded("__main__") is sys.modules["__main__"]
    monkeypatch.delitem(sys.modules, "slow_to_import")


def test_rows_while_another_thread_imports(tmp_path):
    """Seen: "partially initialized module 'multiprocessing.spawn' has no attribute", and the call failed."""
    program = """
        import importlib.util, sys, types
        import shmrerun as rr
        for name in ("numpy", "pyarrow", "asyncio", "multiprocessing.spawn"):
            half = types.ModuleType(name)
            half.__spec__ = importlib.util.find_spec(name)
            half.__spec__._initializing = True
            sys.modules[name] = half
        rr.init("loaded", strict=True)
        rr.set_time("t", duration=1.5)
        rr.set_time("u", timestamp=1.5)
        rr.log("rows", rr.TextLog("a", level="INFO"))
        rr.log("rows", rr.Scalars(1))
        for name in ("numpy", "pyarrow", "asyncio", "multiprocessing.spawn"):
            del sys.modules[name]
        rr.save(sys.argv[1])
        rr.disconnect()
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(program), str(tmp_path / "out.rrd")], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
