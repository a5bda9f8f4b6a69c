"""Several files as sinks of one recording: the first is the log, the others are equal to it byte for byte."""

from __future__ import annotations

import pytest
from helpers import check, has_footer, needs_mounts, run, scalars


@pytest.mark.parametrize("kill", [False, True], ids=["quiet", "aggregator killed"])
def test_two_files_are_equal(tmp_path, kill):
    """Rows of all processes are in both files, which are equal, whether or not the aggregator was killed on the way."""
    run(
        """
        import multiprocessing, os, signal, sys
        import shmrerun as rr
        from shmrerun.testing import aggregator_pid
        from helpers_programs import own_tree

        def work(n):
            rr.set_sinks(rr.FileSink("a.rrd"), rr.FileSink("b.rrd"))  # equal ones: nothing changes
            for i in range(300):
                rr.log(f"rows/{n}", rr.Scalars(i))

        if __name__ == "__main__":
            rr.init("copies")
            rr.log("early", rr.Scalars(0))
            rr.set_sinks(rr.FileSink("a.rrd"), rr.FileSink("b.rrd"))
            for turn in range(3):
                workers = [multiprocessing.get_context("fork").Process(target=work, args=(turn * 2 + n,)) for n in range(2)]
                for worker in workers:
                    worker.start()
                rr.get_global_data_recording().flush()
                if sys.argv[1] == "True":
                    os.kill(aggregator_pid(own_tree()), signal.SIGKILL)
                for worker in workers:
                    worker.join()
                    assert worker.exitcode == 0
        """,
        tmp_path, arguments=(kill,),
    )  # fmt: skip
    assert (tmp_path / "a.rrd").read_bytes() == (tmp_path / "b.rrd").read_bytes()
    assert has_footer(tmp_path / "b.rrd")
    rows = check(tmp_path / "b.rrd")
    assert scalars(rows, "/early") == [0]
    assert all(scalars(rows, f"/rows/{n}") == list(range(300)) for n in range(6))


def test_flush_covers_the_copies(tmp_path):
    """What was logged before a flush is in every file when it returns; a copy without footer stays without."""
    run(
        """
        import os
        import shmrerun as rr
        rr.init("copies")
        rr.set_sinks(rr.FileSink("a.rrd"), rr.FileSink("b.rrd", write_footer=False), rr.FileSink("c.rrd"))
        for i in range(5):
            rr.log("rows", rr.Scalars(i))
            rr.get_global_data_recording().flush()
            assert os.path.getsize("a.rrd") == os.path.getsize("b.rrd") == os.path.getsize("c.rrd")
        rr.save("next.rrd")  # finishes all three
        whole = [open(name, "rb").read() for name in ("a.rrd", "b.rrd", "c.rrd")]
        assert whole[0] == whole[2] and whole[0].startswith(whole[1]) and len(whole[1]) < len(whole[0])
        rr.log("rows", rr.Scalars(5))
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "c.rrd"), "/rows") == list(range(5))
    assert scalars(check(tmp_path / "next.rrd"), "/rows") == [5]


def test_a_copy_that_cannot_be_created_changes_nothing(tmp_path):
    """One impossible path among several is an error at the call, and the present sink goes on."""
    run(
        """
        import shmrerun as rr
        rr.init("copies")
        rr.save("present.rrd")
        for first, second in (("a.rrd", "/nowhere/b.rrd"), ("present.rrd", "/nowhere/b.rrd"), ("a.rrd", "./a.rrd")):
            bad = (rr.FileSink(first), rr.FileSink(second))
            try:
                rr.set_sinks(*bad)
            except (RuntimeError, ValueError) as error:
                print(error)
            else:
                raise SystemExit("no error")
        rr.log("rows", rr.Scalars(1))
        """,
        tmp_path,
    )
    assert scalars(check(tmp_path / "present.rrd"), "/rows") == [1]


@needs_mounts
def test_a_copy_on_a_full_disk_stops_nothing(tmp_path):
    """A copy that has no room is reported once and stays behind; the log is whole."""
    result = run(
        """
        import numpy as np
        import shmrerun as rr
        rr.init("copies")
        rr.set_sinks(rr.FileSink("a.rrd"), rr.FileSink("/mnt/b.rrd"))
        for i in range(40):
            rr.log("rows", rr.Scalars(i))
            rr.log("noise", rr.Tensor(np.random.default_rng(i).integers(0, 255, 100_000, np.uint8)))
            rr.get_global_data_recording().flush()
        """,
        tmp_path, prefix=("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs /mnt && exec "$@"', "sh"),
    )  # fmt: skip
    assert scalars(check(tmp_path / "a.rrd"), "/rows") == list(range(40))
    assert has_footer(tmp_path / "a.rrd")
    assert result.stderr.count("cannot write /mnt/b.rrd: No space left on device") == 1
