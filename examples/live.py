"""A live plot of four workers, wherever you want to look at it.

    python examples/live.py                            a viewer in a window (pip install "shmrerun[viewer]")
    python examples/live.py --web                      the viewer as a page in your browser
    python examples/live.py --connect [URL]            a viewer that runs already, here or elsewhere
    python examples/live.py --serve                    nobody yet: connect with `rerun rerun+http://127.0.0.1:9876/proxy`
    python examples/live.py --stdout | rerun -         through a pipe
    python examples/live.py --save live.rrd            a file

Close the viewer and start it again while this runs: it gets all of the recording.
"""

import argparse
import math
import multiprocessing
import time

import shmrerun as rr


def walk(number, seconds):
    """Log a wave; nothing here says where it goes."""
    end = time.monotonic() + seconds
    step = 0
    while time.monotonic() < end:
        rr.set_time("step", sequence=step)
        rr.log(f"waves/{number}", rr.Scalars(math.sin(step / 20 + number) * math.exp(-step / 2000)))
        step += 1
        time.sleep(0.01)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--web", action="store_true")
    where.add_argument("--connect", nargs="?", const="rerun+http://127.0.0.1:9876/proxy", metavar="URL")
    where.add_argument("--serve", action="store_true")
    where.add_argument("--stdout", action="store_true")
    where.add_argument("--save", metavar="PATH")
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()

    rr.init("shmrerun_example_live")
    if arguments.web:
        rr.serve_web()
    elif arguments.connect:
        rr.connect_grpc(arguments.connect)
    elif arguments.serve:
        print("serving at", rr.serve_grpc())
    elif arguments.stdout:
        rr.stdout()
    elif arguments.save:
        rr.save(arguments.save)
    else:
        rr.spawn()

    workers = [multiprocessing.Process(target=walk, args=(number, arguments.seconds)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
