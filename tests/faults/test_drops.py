"""P5: what is dropped is counted exactly, told, and noted in the recording."""

from __future__ import annotations

from helpers import check, run


def test_dropped_rows_are_counted_and_noted(tmp_path):
    """A full lane that nobody empties: attempted = delivered + dropped, and the recording itself says so."""
    result = run(
        """
        import os, signal, time
        import shmrerun as rr
        from shmrerun.testing import load
        from shmrerun.producer import member
        from shmrerun.producer.process import this_process

        member.FULL_SECONDS = 0.2
        rr.init("drops")
        rr.save("out.rrd")
        rr.log("row", rr.Scalars(0))
        rr.get_global_data_recording().flush()
        [tree] = this_process().trees.values()
        tree.words.budget_limit = 200_000
        aggregator = tree.words.aggregator_pid
        os.kill(aggregator, signal.SIGSTOP)
        attempted, end = 1, time.monotonic() + 1.5 * load()
        while time.monotonic() < end:
            rr.log("row", rr.Scalars(attempted))
            attempted += 1
        os.kill(aggregator, signal.SIGCONT)
        print(attempted)
        """,
        tmp_path,
    )
    rows = check(tmp_path / "out.rrd")
    note = rows["/__dropped"][0]["TextLog:text"][0]
    dropped = int(note.split()[0])
    assert dropped > 0
    assert int(result.stdout) == len(rows["/row"]) + dropped
    assert "because its lane stayed full" in note
    assert "rows are being dropped" in result.stderr
