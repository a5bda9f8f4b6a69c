"""Seen: rows twice in the file when the aggregator died, and its successor died soon after its first commit.

A row that was in the log already, behind the head because an older one waited, was forgotten by the successor's hint where to look.
"""

from __future__ import annotations

import os

import pytest
from helpers import check, run, scalars

ROUNDS = int(os.environ.get("MUSEUM_ROUNDS", "4"))


@pytest.mark.parametrize("milliseconds", [0, 20, 50, 100, 300])
def test_two_kills_in_a_row(tmp_path, milliseconds):
    """The second kill that long after the successor's first commit: every row once. ``MUSEUM_ROUNDS=200`` for long runs."""
    result = run(
        """
        import os, random, signal, sys, time
        import shmrerun as rr
        from shmrerun.producer.process import this_process

        def log_until(condition, state):
            while not condition():
                for _ in range(20):
                    rr.set_time("step", sequence=state[0])
                    rr.log(f"e/{state[0] % 7}", rr.Scalars(state[0]))
                    state[0] += 1
                time.sleep(0.001)

        def after(seconds):
            end = time.monotonic() + seconds
            return lambda: time.monotonic() > end

        for round in range(int(sys.argv[2])):
            rr.init(f"museum{round}")
            rr.save(f"out{round}.rrd")
            session = rr.get_global_data_recording()._stream.session
            words, state = session.tree.words, [0]
            log_until(after(0.3 + random.random() * 0.3), state)
            epoch, rows = words.epoch, session.words.rows
            os.kill(words.aggregator_pid, signal.SIGKILL)
            log_until(lambda: words.epoch > epoch and session.words.rows > rows, state)
            log_until(after(int(sys.argv[1]) / 1000), state)
            os.kill(words.aggregator_pid, signal.SIGKILL)
            log_until(after(0.2), state)
            rr.disconnect()
            member = session.member
            assert member.written == member.rows + member.lost == state[0] + session.own_rows, (member.written, member.rows, member.lost)
            print(state[0])
        """,
        tmp_path,
        arguments=(milliseconds, ROUNDS),
        deadline=60 + 10 * ROUNDS,
    )
    assert result.stderr == ""
    for number, count in enumerate(map(int, result.stdout.split())):
        rows = check(tmp_path / f"out{number}.rrd")
        assert sorted(value for entity in range(7) for value in scalars(rows, f"/e/{entity}")) == list(range(count))
