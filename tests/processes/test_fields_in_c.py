"""Rows whose fields C reads, while signal handlers, forks and other threads are at them."""

from __future__ import annotations

from helpers import check, run, scalars


def test_handlers_log_and_fork_in_the_middle(tmp_path):
    """A signal handler that logs, collects garbage and forks between and inside of calls loses no row."""
    run(
        """
        import gc, os, signal
        import numpy as np
        import shmrerun as rr
        rr.init("handlers")
        rr.save("out.rrd")
        fired, points = 0, np.zeros((100, 3), np.float32)

        def handler(*_):
            global fired
            fired += 1
            mine = fired  # another signal may come at any call
            rr.log("handler", rr.Scalars(mine))
            if mine % 20 == 0:
                gc.collect()
                pid = os.fork()
                if pid == 0:
                    rr.log("child", rr.Scalars(float(mine)))
                    os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        step = 0
        while fired < 60:
            rr.set_time("step", sequence=step)
            rr.log("main", rr.Scalars(step))
            rr.log("points", rr.Points3D(points, colors=[[1, 2, 3]], labels=["a"]))
            step += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        open("counts", "w").write(f"{step} {fired}")
        """,
        tmp_path,
    )
    steps, fired = map(int, (tmp_path / "counts").read_text().split())
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/main") == list(range(steps))
    assert sorted(scalars(rows, "/handler")) == list(range(1, fired + 1))
    assert sorted(scalars(rows, "/child")) == list(range(20, fired + 1, 20))


def test_fields_change_while_a_row_is_copied(tmp_path):
    """Large rows are copied without the GIL; a thread that replaces the fields meanwhile cannot free what is being copied."""
    run(
        """
        import gc, threading
        import numpy as np
        import shmrerun as rr
        rr.init("threads")
        rr.save("out.rrd")
        numbers = 100_000
        made = rr.Scalars(np.full(numbers, 1.0))
        done = threading.Event()

        def change():
            value = 0.0
            while not done.is_set():
                value += 1
                made._0 = rr.Scalars(np.full(numbers, value))._0
        thread = threading.Thread(target=change)
        thread.start()
        for _ in range(200):
            rr.log("large", made)
        done.set()
        thread.join()
        """,
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")["/large"]
    assert len(rows) == 200
    for row in rows:
        (values,) = [value for name, value in row.items() if name.endswith("scalars")]
        assert len(values) == 100_000
        assert len(set(values)) == 1


def test_memory_stays_flat(tmp_path):
    """A million calls, good ones and bad ones, leave nothing behind."""
    run(
        """
        import resource, warnings
        import numpy as np
        import shmrerun as rr
        warnings.simplefilter("ignore")
        rr.init("flat")
        points = np.zeros((10, 3), np.float32)
        def calls(count):
            for step in range(count):
                rr.Scalars(step * 0.5)
                rr.TextLog("text", level="INFO")
                rr.Points3D([[1.0, 2.0, 3.0]], labels=["a", "b"], colors=[[1, 2, 3]])
                rr.Points3D(points, radii=step)
                rr.Scalars([step, step, 1e300])
                try:
                    rr.Scalars(more=step)
                except TypeError:
                    pass
        calls(10_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        calls(180_000)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096
        """,
        tmp_path,
    )
