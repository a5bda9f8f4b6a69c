"""A layout that comes with the recording: a curve for each worker above a map of where they are, and their messages beside it.

Run it: ``python examples/layout.py`` leaves ``layout.rrd``; ``python examples/layout.py --view`` opens it in a viewer while workers log.
"""

import math
import multiprocessing
import sys

import shmrerun as rr
import shmrerun.blueprint as rrb

WORKERS = 4


def work(number: int) -> None:
    for step in range(200):
        rr.set_time("step", sequence=step)
        angle = step / 30 + number
        rr.log(f"workers/{number}/speed", rr.Scalars(1 + math.sin(angle)))
        rr.log(f"map/{number}", rr.Points2D([[number + math.cos(angle), math.sin(angle)]], radii=0.05, labels=str(number)))
    rr.log("messages", rr.TextLog(f"worker {number} is done", level="INFO"))


def layout() -> rrb.Blueprint:
    curves = rrb.TimeSeriesView(origin="/workers", name="speed", axis_y=rrb.ScalarAxis(range=(0, 2)))
    where = rrb.Spatial2DView(origin="/map", name="where they are")
    messages = rrb.TextLogView(origin="/messages", name="messages")
    return rrb.Blueprint(rrb.Horizontal(rrb.Vertical(curves, where), messages, column_shares=[3, 1]), collapse_panels=True)


if __name__ == "__main__":
    rr.init("shmrerun_layout")
    if "--view" in sys.argv:
        rr.spawn(default_blueprint=layout())
    else:
        rr.save("layout.rrd", default_blueprint=layout())
    with multiprocessing.Pool(WORKERS) as pool:
        pool.map(work, range(WORKERS))
