"""A library that logs, in an application that never asked for it."""

from __future__ import annotations

from helpers import run


def test_logging_without_init_has_no_side_effect(tmp_path):
    """Without `init` every call is silent and leaves no file, no process, no thread and the environment as it was."""
    result = run(
        """
        import multiprocessing, os, sys, threading
        from shmrerun.testing import leftovers

        def library():
            import shmrerun as rr
            for i in range(1000):
                rr.set_time("step", sequence=i)
                rr.log("library/value", rr.Scalars(i))
            rr.log("library/text", rr.TextLog("hello"), static=True)
            rr.reset_time()
            rr.disable_timeline("step")
            assert rr.get_global_data_recording() is None
            assert rr.get_recording_id() is None
            assert not rr.is_enabled()
            rr.disconnect()

        if __name__ == "__main__":
            environment, config = dict(os.environ), dict(multiprocessing.current_process()._config)
            fds = set(os.listdir("/proc/self/fd"))
            before, here = leftovers(), os.listdir()
            library()
            assert set(os.listdir("/proc/self/fd")) == fds
            for method in ("fork", "spawn"):
                worker = multiprocessing.get_context(method).Process(target=library)
                worker.start()
                worker.join()
                assert worker.exitcode == 0
            assert dict(os.environ) == environment
            assert dict(multiprocessing.current_process()._config) == config
            assert not leftovers().since(before)
            assert os.listdir() == here
            assert threading.active_count() == 1
            assert "pyarrow" not in sys.modules and "grpc" not in sys.modules
        """,
        tmp_path, env={"LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert not result.stdout
    assert not result.stderr
    assert not list(tmp_path.glob("*.rrd"))


def test_calls_without_init_are_cheap(tmp_path):
    """A call without a recording costs well under a microsecond, so libraries may leave it in."""
    result = run(
        """
        import time
        import shmrerun as rr
        entity = rr.Scalars(1)
        best = 1e9
        for _ in range(20):
            began = time.perf_counter_ns()
            for _ in range(2000):
                rr.log("a", entity)
            best = min(best, (time.perf_counter_ns() - began) / 2000)
        print(best)
        """,
        tmp_path,
    )
    assert float(result.stdout) < 1000


def test_import_is_light(tmp_path):
    """`import shmrerun` starts nothing and imports neither pyarrow nor grpc nor protobuf nor asyncio."""
    run(
        """
        import sys, threading, os
        import shmrerun
        heavy = {"pyarrow", "grpc", "google.protobuf", "asyncio", "multiprocessing.resource_tracker"} & set(sys.modules)
        assert not heavy, heavy
        assert threading.active_count() == 1
        """,
        tmp_path,
    )
