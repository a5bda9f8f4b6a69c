"""``multiprocessing.Queue`` to one process that writes MCAP with the package ``mcap``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from peers.queue_writer import QueueWriter
from subject import durable
from values import scalar_bytes

if TYPE_CHECKING:
    from peers.base import Finish
    from peers.queue_writer import Write


def mcap_rows(path: str) -> int:
    """Return the messages of an MCAP file, read one by one."""
    from mcap.reader import make_reader

    with open(path, "rb") as file:
        return sum(channel.topic.startswith("bench/") for _, channel, _ in make_reader(file).iter_messages())


class QueueMcap(QueueWriter):
    """Raw bytes and no schema: the least that the format can be asked for."""

    title = "multiprocessing.Queue, one mcap writer"
    stores = "one .mcap, LZ4 chunks of 1 MiB: raw bytes (scalars with their step), the step as sequence, log_time of the writer; no schema"
    needs = ("mcap", "lz4")

    @staticmethod
    def writing(path: str, case: str) -> tuple[Write, Finish]:
        from mcap.writer import CompressionType, Writer

        writer = Writer(path, compression=CompressionType.LZ4)
        writer.start()
        channels: dict[str, int] = {}

        def write(row: tuple[str, int, Any]) -> None:
            entity_path, step, value = row
            channel = channels.get(entity_path)
            if channel is None:
                channel = channels[entity_path] = writer.register_channel(topic=entity_path, message_encoding="raw", schema_id=0)
            data = scalar_bytes(step, value) if case == "scalar" else value.encode() if case == "text" else value.tobytes()
            now = time.time_ns()
            writer.add_message(channel, log_time=now, publish_time=now, data=data, sequence=step)

        def close() -> None:
            writer.finish()
            durable(path)

        return write, close

    def files(self) -> list[str]:
        return [os.path.join(self.directory, "all.mcap")]

    def rows(self) -> int:
        return mcap_rows(self.files()[0])
