"""A simulator that writes one short recording per episode."""

from __future__ import annotations

import pytest
from helpers import check, has_footer, run, scalars

from shmrerun.testing import load

EPISODES = """
    import os, sys, time
    import shmrerun as rr
    from shmrerun.testing import leftovers

    COUNT = int(sys.argv[1])
    fds, before = [], leftovers()
    for episode in range(COUNT):
        rec = rr.RecordingStream("episodes", recording_id=f"episode-{episode}")
        rec.save(f"{episode}.rrd")
        for step in range(10):
            rec.set_time("step", sequence=step)
            rec.log("reward", rr.Scalars([episode, step]))
        rec.disconnect()
        with open(f"{episode}.rrd", "rb") as file:
            assert b"RRF2FOOT" in file.read()[-12:], f"episode {episode} is not finished when disconnect returns"
        del rec
        if episode % 50 == 10:
            fds.append((len(os.listdir("/proc/self/fd")), *map(len, leftovers().since(before))))
    print(fds)
    assert all(later[0] <= fds[0][0] + 2 and later[1] <= fds[0][1] + 40 and later[2] == 1 for later in fds), fds
"""


def test_one_recording_per_episode(tmp_path):
    """A hundred short recordings are each complete when `disconnect` returns; one aggregator serves them, and nothing piles up."""
    result = run(EPISODES, tmp_path, arguments=(100,))
    for episode in range(0, 100, 9):
        rows = check(tmp_path / f"{episode}.rrd")
        assert scalars(rows, "/reward") == [(episode, step) for step in range(10)]
        assert [row["step"] for row in rows["/reward"]] == list(range(10))
    assert all(has_footer(tmp_path / f"{n}.rrd") for n in range(100))
    assert result.seconds < 20 * load()


@pytest.mark.soak
def test_a_thousand_episodes(tmp_path):
    """A thousand short recordings: as for a hundred."""
    run(EPISODES, tmp_path, arguments=(1000,), deadline=110)
    assert all(has_footer(tmp_path / f"{n}.rrd") for n in range(1000))


def test_episodes_in_workers(tmp_path):
    """Workers of a pool that each write recordings of their own get whole files, and the parent's has none of their rows."""
    run(
        """
        import multiprocessing
        import shmrerun as rr

        def episode(number):
            with rr.RecordingStream("own", recording_id=f"own-{number}") as rec:
                rec.save(f"{number}.rrd")
                for step in range(10):
                    rr.log("reward", rr.Scalars([number, step]))
            rr.log("done", rr.Scalars(number))

        if __name__ == "__main__":
            rr.init("parent")
            rr.save("parent.rrd")
            for method in ("fork", "spawn"):
                with multiprocessing.get_context(method).Pool(2) as pool:
                    pool.map(episode, range(8) if method == "fork" else range(8, 16), 1)
        """,
        tmp_path,
    )
    for number in range(16):
        assert scalars(check(tmp_path / f"{number}.rrd"), "/reward") == [(number, step) for step in range(10)]
    parent = check(tmp_path / "parent.rrd")
    assert sorted(scalars(parent, "/done")) == list(range(16))
    assert "/reward" not in parent
