"""TensorBoard: each process has a ``SummaryWriter`` (of tensorboardX, which needs neither TensorFlow nor torch)."""

from __future__ import annotations

import glob
import os
import struct
from typing import TYPE_CHECKING, Any

from peers.base import Peer
from subject import durable
from values import PIXELS

if TYPE_CHECKING:
    from peers.base import Finish, Log


class Tensorboard(Peer):
    """Files are left as they are: TensorBoard reads a directory of them."""

    title = "TensorBoard SummaryWriter, a file each"
    stores = "an event file each process: scalars as float32 with step and wall time; images as PNG, which is most of their time"
    needs = ("tensorboardX", "PIL", "crc32c")  # without the last, checksums are made in Python: seconds for an image
    cases = ("scalar", "image")

    @staticmethod
    def open(link: Any, case: str, number: int) -> tuple[Log, Finish]:
        from tensorboardX import SummaryWriter

        writer = SummaryWriter(os.path.join(link, f"run-{number}"))

        def log_scalar(path: str, step: int) -> None:
            writer.add_scalar(path, step * 0.5, step)

        def log_image(path: str, step: int) -> None:
            writer.add_image(path, PIXELS, step, dataformats="HWC")

        return log_scalar if case == "scalar" else log_image, writer.close

    def complete(self) -> None:
        for path in self.files():
            durable(path)

    def files(self) -> list[str]:
        return sorted(glob.glob(os.path.join(self.directory, "run-*", "*tfevents*")))

    def rows(self) -> int:
        return sum(_records(path) - 1 for path in self.files())  # the first says the version of the format


def _records(path: str) -> int:
    """Return the records of an event file: a length of 8 bytes, 4 of checksum, the data, 4 of checksum."""
    count, offset, size = 0, 0, os.path.getsize(path)
    with open(path, "rb") as file:
        while offset + 12 <= size:
            file.seek(offset)
            offset += 16 + struct.unpack("<Q", file.read(8))[0]
            count += offset <= size
    return count
