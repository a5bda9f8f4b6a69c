"""rerun-sdk: each process connects to one ``rerun --save FILE``, which writes the recording."""

from __future__ import annotations

import base64
import contextlib
import hashlib
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

_MARK_BYTES = 40
_MOST_SECONDS = 120  # for the last messages to come


class RerunServer(Peer):
    """The server writes no footer; when it has written all is seen by marks that are sent last, one by each connection."""

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
        self.secret = secrets.token_urlsafe(24)
        return url, self.secret

    @staticmethod
    def open(link: Any, case: str, number: int) -> tuple[Log, Finish]:
        import rerun as rr

        url, secret = link
        rr.init("shmrerun_bench", recording_id="one")
        rr.connect_grpc(url)

        def finish() -> None:
            rr.log(f"end/{number}", rr.TextLog(_mark(secret, number)))
            rr.get_global_data_recording().flush(timeout_sec=600)
            rr.disconnect()

        return logger(rr, case), finish

    def complete(self) -> None:
        missing = [_mark(self.secret, number).encode() for number in range(self.processes)]
        deadline = time.monotonic() + _MOST_SECONDS
        with open(self.files()[0], "rb") as file:
            end = b""
            while missing:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"what {len(missing)} workers sent last is not in the server's file after {_MOST_SECONDS} s")
                found = end + file.read()
                missing = [mark for mark in missing if mark[:11] not in found and mark[16:27] not in found and mark[-11:] not in found]
                end = found[-_MARK_BYTES:]
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


def _mark(secret: str, number: int) -> str:
    """What a worker logs last. A part of it is in the file as it is: LZ4 finds hardly anything of it elsewhere."""
    return base64.b85encode(hashlib.sha256(f"{secret}{number}".encode()).digest()).decode()
