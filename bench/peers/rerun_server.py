"""rerun-sdk: each process connects to one ``rerun --save FILE``, which writes the recording."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

from peers.base import Peer
from peers.rerun_api import logger, server
from subject import durable, rrd_rows

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext

    from peers.base import Finish, Log

_MOST_SECONDS = 120  # for the last message to come
_TAIL_BYTES = 64 << 10


class RerunServer(Peer):
    """The server writes no footer; when it has written all is seen by a mark that is sent last."""

    title = "rerun-sdk, gRPC to one rerun --save"
    stores = "one .rrd without footer: rows with step, log_time, log_tick; chunks of each process, LZ4"
    needs = ("rerun", "rerun_cli")

    def start(self, context: SpawnContext) -> Any:
        import rerun as rr

        self.running = contextlib.ExitStack()
        url = self.running.enter_context(server("--save", self.files()[0]))
        rr.init("shmrerun_bench", recording_id="one")
        rr.connect_grpc(url)
        rr.log("warm", rr.Scalars(0.0))
        rr.get_global_data_recording().flush()
        return url

    @staticmethod
    def open(link: Any, case: str, number: int) -> tuple[Log, Finish]:
        import rerun as rr

        rr.init("shmrerun_bench", recording_id="one")
        rr.connect_grpc(link)

        def finish() -> None:
            rr.get_global_data_recording().flush(timeout_sec=600)
            rr.disconnect()

        return logger(rr, case), finish

    def complete(self) -> None:
        import rerun as rr

        mark = secrets.token_urlsafe(24)
        rr.log("end", rr.TextLog(mark))
        rr.get_global_data_recording().flush(timeout_sec=600)
        deadline = time.monotonic() + _MOST_SECONDS
        with open(self.files()[0], "rb") as file:
            while True:
                if time.monotonic() > deadline:  # seen with images
                    raise RuntimeError(f"what was sent last is not in the server's file after {_MOST_SECONDS} s")
                file.seek(max(0, os.path.getsize(self.files()[0]) - _TAIL_BYTES))
                if mark.encode() in file.read():
                    break
                time.sleep(0.002)
        durable(self.files()[0])

    def close(self) -> None:
        import rerun as rr

        rr.disconnect()
        self.running.close()

    def files(self) -> list[str]:
        return [os.path.join(self.directory, "all.rrd")]

    def rows(self) -> int:
        return rrd_rows(self.files()[0])
