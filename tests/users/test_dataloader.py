"""PyTorch's DataLoader: whatever becomes of its workers, rows in the file are the calls that returned."""

from __future__ import annotations

import pytest
from helpers import check, run

pytest.importorskip("torch")
pytest.importorskip("sklearn")

PROGRAM = """
    import mmap, multiprocessing, os, signal, struct, sys, threading, time, warnings
    import numpy as np
    import torch
    from torch.utils.data import DataLoader, Dataset, get_worker_info
    import shmrerun as rr

    warnings.simplefilter("ignore")
    METHOD, PERSISTENT, END, PATH, COUNTS = sys.argv[1], sys.argv[2] == "persistent", sys.argv[3], sys.argv[4], sys.argv[5]

    class Samples(Dataset):
        def __len__(self):
            return 64

        def __getitem__(self, index):
            worker = get_worker_info().id
            if not hasattr(self, "number"):
                self.number, self.done = f"{worker}.{os.getpid()}", 0
                self.file = open(f"{COUNTS}/{self.number}", "wb+")
                self.file.write(bytes(8))
                self.file.flush()
                self.counts = mmap.mmap(self.file.fileno(), 8)
            rr.set_time("sample", sequence=index)
            rr.log(f"worker/{self.number}", rr.Scalars(float(self.done)))
            self.done += 1
            struct.pack_into("<Q", self.counts, 0, self.done)
            if index == 37 and END == "raise":
                raise ValueError("a sample that cannot be decoded")
            if index == 37 and END == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if index == 37 and END == "hung":
                time.sleep(1000)
            return np.full(4, index, dtype=np.float32)

    def main():
        rr.init("loader")
        rr.save(PATH)
        loader = DataLoader(Samples(), batch_size=4, num_workers=4, persistent_workers=PERSISTENT,
                            multiprocessing_context=METHOD, timeout=12 if END == "hung" else 0)
        for epoch in range(2):
            try:
                for step, batch in enumerate(loader):
                    rr.set_time("step", sequence=step)
                    rr.log("trainer/loss", rr.Scalars(float(batch.sum())))
                    if END == "break" and step == 5:
                        break
            except (ValueError, RuntimeError, OSError, EOFError) as error:  # of a sample, of torch, of its queues
                print(type(error).__name__)
                break
        if END == "hung":  # as an impatient user would
            for child in multiprocessing.active_children():
                child.kill()
                child.join()
            rr.disconnect()
            os._exit(0)
        del loader

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize("end", ["exhausted", "break", "raise", "killed", "hung"])
@pytest.mark.parametrize("persistent", ["persistent", "fresh"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_call_that_returned_is_a_row(method, persistent, end, tmp_path):
    """Loop exhausted, left, raising, a worker killed or hung, under every start method: nothing that was logged is missing."""
    counts = tmp_path / "counts"
    counts.mkdir()
    path = tmp_path / "loader.rrd"
    run(PROGRAM, tmp_path, arguments=(method, persistent, end, path, counts), deadline=110)
    rows = check(path)
    for file in counts.iterdir():
        done = int.from_bytes(file.read_bytes(), "little")
        values = sorted(row["Scalars:scalars"][0] for row in rows.get(f"/worker/{file.name}", []))
        assert values == [float(i) for i in range(len(values))]
        assert len(values) in (done, done + 1)
    # What must have been prepared, whatever the pace of each worker: when one is killed in its third batch, the loader ends at once,
    # with its ten samples and the first batch of another; a hung one may end it before a slow machine has prepared any.
    least = {"hung": 0, "killed": 14}.get(end, 24)
    assert sum(len(found) for entity, found in rows.items() if entity.startswith("/worker/")) >= least
