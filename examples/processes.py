"""Four processes, one recording. The workers contain no line of set-up.

Works the same with every start method: ``python examples/processes.py processes.rrd spawn``.
"""

import multiprocessing
import os
import random
import sys

import shmrerun as rr


def simulate(particle: int) -> float:
    """One job of the pool: a random walk. It logs into the recording that the parent made."""
    generator = random.Random(particle)
    position = 0.0
    for step in range(200):
        position += generator.gauss(0, 1)
        rr.set_time("step", sequence=step)  # times belong to this process and thread
        rr.log(f"walks/{particle}", rr.Scalars(position))
    rr.log("messages", rr.TextLog(f"walk {particle} ended at {position:.1f} in process {os.getpid()}"))
    # Safe already: killing this process now would lose none of its rows.
    return position


def main(path: str, start_method: str | None) -> None:
    rr.init("processes")
    rr.save(path)
    with multiprocessing.get_context(start_method).Pool(4) as pool:
        ends = pool.map(simulate, range(8))
    rr.log("ends", rr.BarChart(ends), static=True)

    # disconnect() waits for the rows of all processes and finishes the file now, not at the end of the program.
    rr.disconnect()
    print(f"{path} is complete")


if __name__ == "__main__":
    main(
        sys.argv[1] if len(sys.argv) > 1 else "processes.rrd",
        sys.argv[2] if len(sys.argv) > 2 else None,
    )
