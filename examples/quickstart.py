"""One process, one recording: the same calls as with ``import rerun as rr``.

Run it, then look at the file: ``python examples/quickstart.py && rerun quickstart.rrd``.
"""

import math
import sys

import numpy as np

import shmrerun as rr


def main(path: str) -> None:
    rr.init("quickstart")
    rr.save(path)

    # Static data has no time: it holds for the whole recording.
    rr.log("wave", rr.SeriesLines(names="sine"), static=True)

    angles = np.linspace(0, 2 * math.pi, 60, dtype=np.float32)
    for step in range(100):
        rr.set_time("step", sequence=step)
        rr.log("wave", rr.Scalars(math.sin(step / 10)))
        ring = np.stack([np.cos(angles), np.sin(angles), np.full_like(angles, step / 50)], axis=1)
        rr.log("ring", rr.Points3D(ring, radii=0.02))
        if step % 25 == 0:
            rr.log("messages", rr.TextLog(f"step {step}", level="INFO"))

    # Nothing to do at the end: the file is complete when the program has ended.


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "quickstart.rrd")
