"""What there is to measure: each bench with its subjects, the numbers that are compared, and words for the report."""

from __future__ import annotations

import importlib.util
import re
from typing import NamedTuple

import peers

OURS = "shmrerun"
LIBRARIES = (OURS, "rerun-sdk")
PERCENTILES = ("p50", "p90", "p95", "p99", "p99_9")


class Bench(NamedTuple):
    """One line of the command's list; ``name`` is ``program/case``, the program being a file of ``subjects/``."""

    name: str
    title: str
    subjects: tuple[str, ...] = LIBRARIES
    keys: tuple[str, ...] = PERCENTILES  # numbers that have a spread and a ratio; the first is plotted
    most_rounds: int = 1000


class Group(NamedTuple):
    """Benches of one program; what it says stands in the report."""

    program: str
    title: str
    text: str
    benches: tuple[Bench, ...]


def _crowds(kind: str, title: str) -> Bench:
    return Bench(f"throughput/{kind}_4", title, peers.of_case(kind), ("secs", "logged_secs"))


GROUPS = (
    Group(
        "hot_path",
        "The caller's cost of a row",
        "set_time, the constructor and log, in one process, into a file. Images come 10 or 33 ms apart, points and tensors 0.5 ms, all "
        "else back to back. After each call with much data as many bytes are copied in the same process (memcpy).",
        (
            Bench("hot_path/scalar", "Scalars"),
            Bench("hot_path/text", "TextLog"),
            Bench("hot_path/boxes3d", "Boxes3D"),
            Bench("hot_path/transform3d", "Transform3D"),
            Bench("hot_path/linestrips3d", "LineStrips3D"),
            Bench("hot_path/barchart", "BarChart"),
            Bench("hot_path/tensor", "Tensor, 12 kB"),
            Bench("hot_path/points3d_1000", "Points3D of 1,000"),
            Bench("hot_path/image", "Image 640x480x3, 100 Hz"),
            Bench("hot_path/image_30hz", "Image 640x480x3, 30 Hz"),
            Bench("hot_path/image_1080p", "Image 1920x1080x3, 30 Hz"),
        ),
    ),
    Group(
        "throughput",
        "Rows of several processes, until durable",
        "The clock runs from a signal to all workers until the files are complete and synchronised. Workers are spawned, have "
        "imported, opened and logged a row before, whichever the peer. Limits have no rows, only their bytes.",
        (
            Bench("throughput/scalar_1", "Scalars, 1 process", ("shmrerun", "rerun_merge"), ("secs", "logged_secs")),
            Bench("throughput/scalar_2", "Scalars, 2 processes", ("shmrerun", "rerun_merge"), ("secs", "logged_secs")),
            _crowds("scalar", "Scalars, 4 processes"),
            _crowds("text", "TextLog, 4 processes"),
            _crowds("points", "Points3D of 1,000, 4 processes"),
            _crowds("image", "Image 640x480x3, 4 processes"),
        ),
    ),
    Group(
        "burst",
        "A burst",
        "200,000 scalars from 4 processes as fast as they go, each call timed. The longest call includes "
        "what the scheduler gives to others.",
        (Bench("burst/scalar", "200,000 rows", ("shmrerun", "rerun_merge"), ("longest", "p50", "p99", "p99_9", "logged_secs")),),
    ),
    Group(
        "paced",
        "Chunks of a paced program",
        "10 entities at 100 Hz from 8 processes, a minute. times_optimized: bytes of the file, divided "
        "by those of rerun rrd optimize of it.",
        (
            Bench(
                "paced/scalar",
                "10 entities at 100 Hz",
                ("shmrerun", "rerun_merge", "rerun_server"),
                ("chunks_per_s", "times_optimized", "file_bytes"),
                most_rounds=2,
            ),
        ),
    ),
    Group(
        "aggregator",
        "The aggregator",
        "shmrerun's own process: rows a second of its CPU time, its memory without the lanes, its CPU time while nobody logs.",
        (
            Bench("aggregator/core", "Scalars a second of CPU time", (OURS,), ("rows_per_cpu_s",)),
            Bench("aggregator/load", "Memory at full load", (OURS,), ("peak_less_lanes_bytes",), most_rounds=3),
            Bench("aggregator/entities", "Memory with 100,000 entities", (OURS,), ("peak_less_lanes_bytes",), most_rounds=3),
            Bench("aggregator/idle", "CPU of an idle program, %", (OURS,), ("percent",), most_rounds=3),
        ),
    ),
    Group(
        "live",
        "Rows of 4 processes to a viewer's server",
        "Until a real rerun --serve-grpc has taken the last. rerun-sdk's processes have a connection each.",
        (Bench("live/scalar", "Scalars", keys=("p50",)), Bench("live/image", "Image 640x480x3", keys=("p50",))),
    ),
    Group(
        "spawned",
        "A fresh worker's first row",
        "From the first line of a spawned worker until log has returned, imports included.",
        (Bench("spawned/first_log", "First log", keys=("p50", "p95")),),
    ),
    Group(
        "lifecycle",
        "Short recordings",
        "Ten rows: an interpreter from start to end; in a warm process save and disconnect, a read of a binary_stream, a drain of a"
        " memory_recording.",
        (
            Bench("lifecycle/program", "a program that saves 10 rows"),
            Bench("lifecycle/save", "save, 10 rows, disconnect"),
            Bench("lifecycle/binary_stream", "binary_stream().read()"),
            Bench("lifecycle/memory", "memory_recording().drain_as_bytes()"),
        ),
    ),
    Group(
        "read",
        "A recording of 1 GB read back",
        "Until everything is in Arrow's memory, opening the file included.",
        tuple(
            Bench(f"read/{case}", title, keys=("p50",))
            for case, title in (
                ("open", "What is in it"),
                ("chunks", "Every chunk"),
                ("entity", "One entity"),
                ("column", "A column over a timeline"),
                ("table", "Four entities over a timeline"),
                ("whole_table", "All over a timeline"),
            )
        ),
    ),
    Group(
        "archetypes",
        "Every archetype",
        "The caller's cost of constructor and log: 1,000 calls each, 20 in a row, then a rest of 4 ms.",
        (Bench("archetypes/all", "Every archetype"),),
    ),
)
BENCHES = {bench.name: bench for group in GROUPS for bench in group.benches}


def find(name: str) -> Bench | None:
    """Return the bench of this name; ``throughput`` takes any number of processes."""
    if name in BENCHES:
        return BENCHES[name]
    any_number = re.fullmatch(r"throughput/(scalar|text|points|image)_([1-9][0-9]*)", name)
    if not any_number:
        return None
    like = BENCHES[f"throughput/{any_number[1]}_4"]
    return like._replace(name=name, title=like.title.replace("4 processes", f"{any_number[2]} processes"))


def title(subject: str) -> str:
    """Return what a subject is called in the report."""
    return peers.peer(subject).title if subject in peers.NAMES else subject


def missing(subject: str) -> list[str]:
    """Return the modules that a subject needs and that are not installed."""
    if subject in peers.NAMES:
        return peers.missing(subject)
    return ["rerun"] if subject == "rerun-sdk" and importlib.util.find_spec("rerun") is None else []
