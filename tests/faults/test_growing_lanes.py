"""Lanes grow with their rows: large images through little shared memory, and bursts that nobody waits for."""

from __future__ import annotations

import pytest
from helpers import check, has_footer, needs_mounts, run, scalars, small_shm

LARGE = """
    import multiprocessing, os, sys
    import numpy as np
    import shmrerun as rr

    SIZES = [1, 30, 3, 12, 30, 1, 7, 21]  # MB

    def work(number):
        for i, size in enumerate(SIZES):
            rr.set_time("step", sequence=i)
            image = np.full((size, 1000, 1000), 16 * number + i, np.uint8)
            image[-1, -1, -1] = 255
            rr.log(f"image/{number}", rr.Tensor(image))
            used = os.statvfs("/dev/shm")
            rr.log(f"used/{number}", rr.Scalars((used.f_blocks - used.f_bfree) * used.f_frsize))

    if __name__ == "__main__":
        rr.init("large")
        rr.save("out.rrd")
        workers = [multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(n,)) for n in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
"""


@needs_mounts
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_images_of_thirty_megabytes_in_a_container(tmp_path, method):
    """Two workers that log images of 1 to 30 MB each through a 64 MB /dev/shm lose nothing and leave half of it free."""
    result = run(LARGE, tmp_path, arguments=(method,), prefix=small_shm("64m"), deadline=120)
    assert "dropped" not in result.stderr
    rows = tensors(tmp_path / "out.rrd")
    for number in range(2):
        assert [(step, size, first, last) for step, size, first, last in rows[f"/image/{number}"]] == [
            (i, size * 1_000_000, 16 * number + i, 255) for i, size in enumerate([1, 30, 3, 12, 30, 1, 7, 21])
        ]
        assert max(rows[f"/used/{number}"]) < 33 << 20


def tensors(path):
    """Step, size, first and last byte of each tensor, and the scalars, by entity; without making lists of millions of numbers."""
    from rerun.chunk import RrdReader

    assert has_footer(path)
    found = {}
    for chunk in RrdReader(str(path)).stream():
        batch = chunk.to_record_batch()
        entity = batch.schema.metadata[b"rerun:entity_path"].decode()
        for row in range(batch.num_rows):
            if "Tensor:data" in batch.schema.names:
                tensor = batch.column(batch.schema.names.index("Tensor:data"))[row].values
                flat = tensor.field("buffer").field(1)[0].values.to_numpy()  # the union's arm U8
                step = batch.column(batch.schema.names.index("step"))[row].as_py()
                found.setdefault(entity, []).append((step, len(flat), int(flat[0]), int(flat[-1])))
            elif "Scalars:scalars" in batch.schema.names:
                found.setdefault(entity, []).append(int(batch.column(batch.schema.names.index("Scalars:scalars"))[row][0].as_py()))
    return {entity: sorted(rows) if entity.startswith("/image") else rows for entity, rows in found.items()}


def test_a_burst_that_the_budget_holds_blocks_nobody(tmp_path):
    """While the aggregator is stopped, a burst of small and large rows is taken at once, and is in the file when it goes on."""
    result = run(
        """
        import os, signal, threading
        import numpy as np
        import shmrerun as rr
        from shmrerun import _core
        from shmrerun.shm import segments
        from shmrerun.producer import member
        from shmrerun.testing import aggregator_pid, load
        from helpers_programs import own_tree

        member.FULL_SECONDS = 5 * load()  # of waiting, after which rows are dropped
        rr.init("burst")
        rr.save("out.rrd")
        rr.log("small", rr.Scalars(-1))
        rr.get_global_data_recording().flush()
        pid = aggregator_pid(own_tree())
        os.kill(pid, signal.SIGSTOP)
        watchdog = threading.Timer(0.8 * member.FULL_SECONDS, os.kill, (pid, signal.SIGCONT))
        try:
            watchdog.start()
            L = _core.LAYOUT
            tree = segments.attach(f"shmrerun-{own_tree()}", L["TREE_MAGIC"], L["sizeof.tree"])
            size, logged = tree.load(L["tree.budget_limit"]) // 4, 0
            assert size >= 4 << 20
            size, i = min(size, 40 << 20), 0
            while logged < size:
                rr.log("small", rr.Scalars(i))
                if i % 50 == 0:
                    rr.log("large", rr.Image(np.full((100, 500, 3), i % 251, np.uint8)))
                    logged += 150_000
                i, logged = i + 1, logged + 40
            held = watchdog.is_alive()
        finally:
            watchdog.cancel()
            os.kill(pid, signal.SIGCONT)
        print(i, held)
        """,
        tmp_path, deadline=60,
    )  # fmt: skip
    count, held = result.stdout.split()
    assert held == "True", "the burst waited for the aggregator"
    rows = check(tmp_path / "out.rrd")
    assert scalars(rows, "/small") == list(range(-1, int(count)))
    assert [row["Image:buffer"][0][:1] for row in rows["/large"]] == [bytes([i % 251]) for i in range(0, int(count), 50)]
    assert not result.stderr
