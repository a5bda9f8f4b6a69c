"""``multiprocessing.Queue`` to one process that logs with rerun-sdk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from peers.queue_writer import QueueWriter
from subject import durable, rrd_rows

if TYPE_CHECKING:
    from peers.base import Finish
    from peers.queue_writer import Write


class QueueRerun(QueueWriter):
    """The recipe for rerun-sdk and many processes."""

    title = "multiprocessing.Queue, one rerun-sdk writer"
    stores = "one .rrd with footer: rows with step, and log_time, log_tick of the writer; LZ4"
    needs = ("rerun",)

    @staticmethod
    def writing(path: str, case: str) -> tuple[Write, Finish]:
        import rerun as rr

        rr.init("shmrerun_bench", recording_id="one")
        rr.save(path)
        make = {
            "scalar": rr.Scalars,
            "text": lambda text: rr.TextLog(text, level="INFO"),
            "points": rr.Points3D,
            "image": rr.Image,
        }[case]

        def write(row: tuple[str, int, Any]) -> None:
            entity_path, step, value = row
            rr.set_time("step", sequence=step)
            rr.log(entity_path, make(value))

        def close() -> None:
            rr.disconnect()
            durable(path)

        return write, close

    def files(self) -> list[str]:
        return [os.path.join(self.directory, "all.rrd")]

    def rows(self) -> int:
        return rrd_rows(self.files()[0])
