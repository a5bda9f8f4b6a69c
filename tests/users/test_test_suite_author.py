"""Somebody whose own test-suite calls `init` in every test."""

from __future__ import annotations

from helpers import check, run, scalars

from shmrerun.testing import load


def test_five_hundred_inits(tmp_path):
    """Five hundred `init`s in one process: one aggregator, no growth of files, descriptors, segments or threads, and each file whole."""
    result = run(
        """
        import os, threading
        import shmrerun as rr
        from shmrerun.testing import leftovers

        seen, before = [], leftovers()
        for n in range(500):
            rr.init(f"test_{n % 7}", recording_id=f"id-{n % 3}")
            if n % 10 == 0:
                rr.save(f"{n}.rrd")
            rr.log("value", rr.Scalars(n))
            if n % 100 == 50:
                left = leftovers().since(before)
                seen.append((len(os.listdir("/proc/self/fd")), threading.active_count(), len(left.processes), len(left.files)))
        print(seen)
        assert all(now[0] <= seen[0][0] + 3 and now[1] == 1 and now[2] == 1 and now[3] <= seen[0][3] + 60 for now in seen), seen
        """,
        tmp_path,
    )
    for n in range(0, 500, 70):
        assert scalars(check(tmp_path / f"{n}.rrd"), "/value") == [n]
    assert result.seconds < 30 * load()


def test_init_is_isolated_from_the_one_before(tmp_path):
    """Rows logged after `init` never reach the file of the recording before, times do not carry over, and nothing warns."""
    run(
        """
        import shmrerun as rr
        for n in range(5):
            rr.init("suite")
            rr.save(f"{n}.rrd")
            if n == 0:
                rr.set_time("step", sequence=5)
            rr.log("value", rr.Scalars(n))
            assert rr.is_enabled()
        rr.disconnect()
        """,
        tmp_path,
    )
    for n in range(5):
        rows = check(tmp_path / f"{n}.rrd")
        assert scalars(rows, "/value") == [n]
