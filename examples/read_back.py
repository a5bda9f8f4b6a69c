"""What was recorded, as tables: each worker's slowest step, found while the recording goes on, and afterwards.

Run it: ``python examples/read_back.py`` leaves ``read_back.rrd`` and prints two tables.
"""

import multiprocessing
import time

import numpy as np
import pyarrow.compute as pc

import shmrerun as rr

WORKERS, STEPS = 4, 100


def work(number: int) -> None:
    random = np.random.default_rng(number)
    for step in range(STEPS):
        rr.set_time("step", sequence=step)
        rr.log(f"workers/{number}/milliseconds", rr.Scalars(random.exponential(10)))
        time.sleep(0.002)


def slowest(path: str) -> None:
    """Print the slowest step of each worker, of what the file has by now."""
    with rr.read(path) as recording:
        for entity in sorted(name for name in recording.entities if name.startswith("/workers/")):
            table = recording[entity].to_arrow_table()
            values = pc.list_flatten(table["Scalars:scalars"])
            at = pc.index(values, pc.max(values)).as_py()
            print(f"{entity}: {values[at].as_py():.1f} ms at step {table['step'][at].as_py()}, of {len(values)} steps")


if __name__ == "__main__":
    rr.init("shmrerun_read_back")
    rr.save("read_back.rrd")
    with multiprocessing.Pool(WORKERS) as pool:
        running = pool.map_async(work, range(WORKERS))
        time.sleep(0.2)
        rr.get_global_data_recording().flush()
        print("meanwhile")
        slowest("read_back.rrd")
        running.get()
    rr.disconnect()
    print("at the end")
    slowest("read_back.rrd")
