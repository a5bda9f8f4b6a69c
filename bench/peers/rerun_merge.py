"""rerun-sdk: each process saves a file of its own, then ``rerun rrd merge`` makes one of them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from peers.base import Peer
from peers.rerun_api import logger, rrd
from subject import durable, rrd_rows

if TYPE_CHECKING:
    from peers.base import Finish, Log


class RerunMerge(Peer):
    """All processes write parts of one recording."""

    title = "rerun-sdk, a file each, rerun rrd merge"
    stores = "one .rrd with footer: rows with step, log_time, log_tick; chunks of each process, LZ4"
    needs = ("rerun", "rerun_cli")

    @staticmethod
    def open(link: Any, case: str, number: int) -> tuple[Log, Finish]:
        import rerun as rr

        rr.init("shmrerun_bench", recording_id="one")
        rr.save(os.path.join(link, f"{number}.rrd"))
        return logger(rr, case), rr.disconnect

    def complete(self) -> None:
        began = time.perf_counter()
        rrd("merge", *(os.path.join(self.directory, f"{number}.rrd") for number in range(self.processes)), "-o", self.files()[0])
        durable(self.files()[0])
        self.merge_secs = time.perf_counter() - began

    def files(self) -> list[str]:
        return [os.path.join(self.directory, "all.rrd")]

    def rows(self) -> int:
        return rrd_rows(self.files()[0])

    def facts(self) -> dict[str, Any]:
        return {"merge_secs": self.merge_secs}
