"""shmrerun: workers have no set-up; one aggregator writes one recording."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import costs
from peers.base import Peer
from peers.rerun_api import logger
from subject import durable, rrd_rows

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext

    from peers.base import Finish, Log


class Shmrerun(Peer):
    """The library that is measured."""

    title = "shmrerun"
    stores = "one .rrd with footer: rows with step, log_time, log_tick; merged columns, LZ4"

    def start(self, context: SpawnContext) -> Any:
        import shmrerun as rr

        rr.init("shmrerun_bench")
        rr.save(self.files()[0])
        rr.log("warm", rr.Scalars(0.0))
        rr.get_global_data_recording().flush()
        self.aggregator = costs.aggregator_pid()
        return None

    @staticmethod
    def open(link: Any, case: str, number: int) -> tuple[Log, Finish]:
        import shmrerun as rr

        return logger(rr, case), lambda: None  # a row is safe when log returns: there is nothing to give away

    def begin(self) -> None:
        self.cpu_secs = costs.cpu_secs(self.aggregator)

    def complete(self) -> None:
        import shmrerun as rr

        rr.disconnect()
        durable(self.files()[0])
        self.cpu_secs = costs.cpu_secs(self.aggregator) - self.cpu_secs

    def close(self) -> None:
        import shmrerun as rr

        rr.disconnect()  # where a worker failed

    def files(self) -> list[str]:
        return [os.path.join(self.directory, "all.rrd")]

    def rows(self) -> int:
        return rrd_rows(self.files()[0])

    def facts(self) -> dict[str, Any]:
        return {"cpu_secs_aggregator": self.cpu_secs}
