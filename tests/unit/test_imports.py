"""The import budget and the direction of dependencies."""

import subprocess
import sys

import pytest

HEAVY = (
    "pyarrow",
    "grpc",
    "google.protobuf",
    "asyncio",
    "numpy",
    "xxhash",
    "cloudpickle",
    "json",
    "logging",
    "dataclasses",
    "inspect",
)


def modules_after(code):
    """Modules that a fresh interpreter has after running code, beyond those it starts with."""
    script = f"import sys; before = set(sys.modules)\n{code}\nprint(' '.join(set(sys.modules) - before))"
    ran = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split())


def test_import_is_light():
    """`import shmrerun` loads no Arrow, no gRPC, no numpy, nothing that a worker would wait for, and few modules at all."""
    loaded = modules_after("import shmrerun")
    assert not loaded & set(HEAVY)
    assert len([name for name in loaded if not name.startswith("shmrerun")]) < 48, sorted(loaded)


def test_import_starts_nothing():
    """`import shmrerun` starts no thread and no process, and changes nothing in the environment."""
    modules_after(
        "import os, threading; before_env = dict(os.environ)\n"
        "import shmrerun\n"
        "assert threading.active_count() == 1 and dict(os.environ) == before_env\n"
        "assert not os.path.exists(f'/proc/self/task/{os.getpid()}/children') or not open(f'/proc/self/task/{os.getpid()}/children').read()"
    )


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("shmrerun.shm.segments", ("shmrerun.shm.tree", "shmrerun.producer.member", "shmrerun.producer.process")),
        ("shmrerun.producer.member", ("shmrerun.producer.process", "shmrerun.recording_stream", "shmrerun.aggregator")),
        ("shmrerun.model.parts", ("shmrerun._core", "shmrerun.producer.member")),
        ("shmrerun.producer.process", ("shmrerun.aggregator", "shmrerun.rrd", "pyarrow")),
        ("shmrerun.recording_stream", ("shmrerun.aggregator", "shmrerun.rrd", "pyarrow")),
        ("shmrerun.rrd.encoder", ("shmrerun.aggregator", "shmrerun.producer.process", "shmrerun.producer.member")),
        ("shmrerun.aggregator.commit_log", ("shmrerun.producer.member", "shmrerun.producer.process")),
        ("shmrerun.aggregator.process", ("shmrerun.producer.process", "shmrerun.archetypes", "grpc")),
    ],
)
def test_direction_of_dependencies(module, never):
    """Lower layers do not import higher ones, and the two sides of a lane meet only in its layout and records."""
    package_itself = "import sys, types, importlib.util as u\n"
    package_itself += (
        "spec = u.find_spec('shmrerun'); bare = types.ModuleType('shmrerun'); bare.__path__ = spec.submodule_search_locations\n"
    )
    package_itself += "sys.modules['shmrerun'] = bare\n"
    loaded = modules_after(package_itself + f"import {module}")
    assert not loaded & set(never)


def test_the_hot_path_has_no_wrapper():
    """`rr.log` and `rr.set_time` are the extension's functions, and an archetype is a plain global after its first use."""
    import shmrerun
    from shmrerun import _core

    assert shmrerun.log is _core.log
    assert shmrerun.set_time is _core.set_time
    assert shmrerun.Scalars is vars(shmrerun)["Scalars"]


CHUNKS_AND_FOOTER = """
import struct
from shmrerun import _core
from shmrerun.aggregator.merge import Family, Group, Shape, Taken
from shmrerun.model.parts import SEQUENCE, Column, pack_strings
from shmrerun.rrd import encoder
from shmrerun.rrd.chunk import chunk_from_batch, decode_stream, encode
from shmrerun.rrd.footer import Manifest

def group(component):
    return Group("/a", Shape(0, struct.pack("<BI", SEQUENCE, 4) + b"step", pack_strings([*Column(component, None, None, "double")])))

def cells(rows):
    return b"".join(_core.row_id() for _ in range(rows)), [bytes(8 * rows)], b"", [
        (struct.pack(f"<{rows + 1}i", *range(rows + 1)), [rows, None, bytes(8 * rows)])
    ]

one, other = group("one"), group("other")
parts = [Taken(part, 0, None, 3, *cells(3)) for part in (one, other)]
manifest = Manifest()
for chunk in (one.chunk(*cells(2)), one.chunk(*cells(500)), Family.chunk(parts)):
    encoded = encode(chunk)
    manifest.add(chunk, 100, 10, encoded.uncompressed_size)
    chunk_from_batch(decode_stream(encoded.payload[0], 2, encoded.uncompressed_size))
assert manifest.payload(encoder.store_id("app", "recording"))
"""


def test_chunks_and_footers_import_neither_pandas_nor_compute():
    """pyarrow's conversions import pandas, half a second, where it is installed, and the end of a short program would wait for it."""
    loaded = modules_after(CHUNKS_AND_FOOTER)
    assert "pyarrow" in loaded
    assert not loaded & {"pandas", "pyarrow.compute", "pyarrow.pandas_compat"}


def test_time_columns_of_lists_need_no_pyarrow():
    """``send_columns`` of lists and ranges."""
    for values in ("range(9)", "[1, 2]", "(3, 4)"):
        assert "pyarrow" not in modules_after(f"import shmrerun as rr; rr.TimeColumn('step', sequence={values})")
