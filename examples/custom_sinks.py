"""Objects of your own as sinks: what is logged goes to them, batch by batch, from all processes, while the program runs.

Run it: ``python examples/custom_sinks.py`` leaves ``parquet/`` with a file for each entity, ``frames/`` with JPEGs (if pillow is
installed), and ``alarms.txt``.
"""

import importlib.util
import os
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import shmrerun as rr
from shmrerun.sinks import Batch


class ParquetSink:
    """One Parquet file per entity and set of columns. A file is readable once the sink is closed."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.writers: dict[tuple[str, pa.Schema], pq.ParquetWriter] = {}

    def write(self, batch: Batch) -> None:
        table = pa.Table.from_batches([batch.record_batch]).replace_schema_metadata(None)
        key = batch.entity_path, table.schema.remove_metadata()
        if key not in self.writers:
            os.makedirs(self.directory, exist_ok=True)
            number = sum(path == batch.entity_path for path, _ in self.writers)
            name = batch.entity_path.strip("/").replace("/", "_") + (f"-{number}" if number else "")
            self.writers[key] = pq.ParquetWriter(f"{self.directory}/{name}.parquet", table.schema)
        self.writers[key].write_table(table.cast(self.writers[key].schema))

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()


class JpegSink:
    """Each frame of RGB images as a JPEG: compressed in this sink's process, not in the one that logs."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.count = 0

    def write(self, batch: Batch) -> None:
        from PIL import Image

        if "Image:buffer" not in batch.record_batch.schema.names:
            return
        os.makedirs(self.directory, exist_ok=True)
        rows = batch.record_batch.select(["Image:buffer", "Image:format"])
        for buffer, form in zip(rows.column(0), rows.column(1).to_pylist(), strict=True):
            if not form or form[0]["color_model"] != 2:  # RGB
                continue
            pixels = buffer.values[0].values.to_numpy().reshape(form[0]["height"], form[0]["width"], 3)
            Image.fromarray(pixels).save(f"{self.directory}/{self.count:04}.jpg", quality=85)
            self.count += 1


class NanAlarm:
    """A line for each scalar that is not a number."""

    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, batch: Batch) -> None:
        if "Scalars:scalars" not in batch.record_batch.schema.names:
            return
        for row, values in enumerate(batch.record_batch.column("Scalars:scalars").to_pylist()):
            if values is not None and np.isnan(values).any():
                step = batch.record_batch.column("step")[row].as_py() if "step" in batch.timelines else None
                with open(self.path, "a", encoding="utf-8") as file:
                    print(f"{batch.entity_path} is NaN at step {step}", file=file)


def main(directory: str) -> None:
    rr.init("custom_sinks")
    sinks = [ParquetSink(f"{directory}/parquet"), NanAlarm(f"{directory}/alarms.txt")]
    if importlib.util.find_spec("PIL"):
        sinks.append(JpegSink(f"{directory}/frames"))
    rr.set_sinks(*sinks, rr.FileSink(f"{directory}/custom_sinks.rrd"))

    for step in range(20):
        rr.set_time("step", sequence=step)
        rr.log("loss", rr.Scalars(float("nan") if step == 13 else 1 / (step + 1)))
        rr.log("camera", rr.Image(np.full((48, 64, 3), step * 10, np.uint8)))

    # Nothing to do at the end: the sinks are closed when the program has ended.


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
