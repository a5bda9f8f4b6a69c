"""``multiprocessing.Queue`` to one process that writes MCAP with ``foxglove-sdk``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from peers.queue_mcap import mcap_rows
from peers.queue_writer import QueueWriter
from subject import durable

if TYPE_CHECKING:
    from peers.base import Finish
    from peers.queue_writer import Write


class QueueFoxglove(QueueWriter):
    """Foxglove's own messages where there is one, JSON for scalars and their step."""

    title = "multiprocessing.Queue, one foxglove-sdk writer"
    stores = "one .mcap, LZ4 chunks: scalars as JSON with their step; Log, PointCloud, RawImage as Protobuf, without the step; log_time"
    needs = ("foxglove", "mcap", "lz4")  # mcap reads the file back

    @staticmethod
    def writing(path: str, case: str) -> tuple[Write, Finish]:
        import foxglove
        from foxglove import channels as typed
        from foxglove import messages
        from foxglove.mcap import MCAPCompression, MCAPWriteOptions

        writer = foxglove.open_mcap(path, writer_options=MCAPWriteOptions(compression=MCAPCompression.Lz4))
        kind = {"scalar": foxglove.Channel, "text": typed.LogChannel, "points": typed.PointCloudChannel, "image": typed.RawImageChannel}[
            case
        ]
        fields = [
            messages.PackedElementField(name=name, offset=4 * index, type=messages.PackedElementFieldNumericType.Float32)
            for index, name in enumerate("xyz")
        ]

        def message(step: int, value: Any) -> Any:
            if case == "scalar":
                return {"step": step, "value": value}
            if case == "text":
                return messages.Log(message=value, level=messages.LogLevel.Info)
            if case == "points":
                return messages.PointCloud(point_stride=12, fields=fields, data=value.tobytes())
            height, width, depth = value.shape
            return messages.RawImage(width=width, height=height, step=width * depth, encoding="rgb8", data=value.tobytes())

        opened: dict[str, Any] = {}

        def write(row: tuple[str, int, Any]) -> None:
            entity_path, step, value = row
            channel = opened.get(entity_path)
            if channel is None:
                channel = opened[entity_path] = kind(entity_path)
            channel.log(message(step, value))

        def close() -> None:
            writer.close()
            durable(path)

        return write, close

    def files(self) -> list[str]:
        return [os.path.join(self.directory, "all.mcap")]

    def rows(self) -> int:
        return mcap_rows(self.files()[0])
