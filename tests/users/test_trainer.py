"""A trainer with data-loading workers that log samples while the main process logs losses."""

from __future__ import annotations

import pytest
from helpers import check, run, scalars

PROGRAM = """
    import multiprocessing, queue, sys
    import numpy as np
    import shmrerun as rr

    class Loader:
        # what a data loader does: daemonic workers, index queues, results in order

        def __init__(self, context, workers, batches):
            self.out = context.Queue()
            self.indices = [context.Queue() for _ in range(workers)]
            for i in range(batches):
                self.indices[i % workers].put(i)
            for q in self.indices:
                q.put(None)
            self.workers = [context.Process(target=fetch, args=(n, q, self.out), daemon=True) for n, q in enumerate(self.indices)]
            for worker in self.workers:
                worker.start()
            self.batches = batches

        def __iter__(self):
            kept = {}
            for wanted in range(self.batches):
                while wanted not in kept:
                    at, batch = self.out.get(timeout=300)
                    kept[at] = batch
                yield kept.pop(wanted)

    def fetch(number, indices, out):
        while (i := indices.get()) is not None:
            batch = np.full((8, 8, 3), i % 256, np.uint8)
            rr.set_time("batch", sequence=i)
            rr.log(f"loader/{number}", rr.Scalars(i))
            rr.log("loader/sample", rr.Image(batch))
            out.put((i, batch))

    if __name__ == "__main__":
        rr.init("trainer")
        rr.save("run.rrd")
        context = multiprocessing.get_context(sys.argv[1])
        step = 0
        for epoch in range(2):
            loader = Loader(context, 2, 20)
            for batch in loader:
                rr.set_time("step", sequence=step)
                rr.log("loss", rr.Scalars(1.0 / (step + 1)))
                step += 1
            rr.log("epoch", rr.Scalars(epoch))
            # the workers are not joined: like a loader that is dropped
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_trainer_with_workers(tmp_path, method):
    """A trainer's file has each batch of each daemonic worker and each step, two epochs long, with times that belong together."""
    run(PROGRAM, tmp_path, arguments=(method,))
    rows = check(tmp_path / "run.rrd")
    assert [row["step"] for row in rows["/loss"]] == list(range(40))
    for number in range(2):
        assert sorted(scalars(rows, f"/loader/{number}")) == sorted([*range(number, 20, 2)] * 2)
    for row in rows["/loader/sample"]:
        assert row["Image:buffer"] == [bytes([row["batch"] % 256]) * 192]
    assert len(rows["/loader/sample"]) == 40
