"""The C core without Python, under sanitizers; and a compile with every warning an error."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CORE = HERE.parent.parent / "shmrerun" / "_core"
COMPILER = os.environ.get("CC", "gcc")
SOURCES = ["lane.c", "growth.c", "hopper.c", "gather.c", "process.c", "times.c"]

pytestmark = [
    pytest.mark.skipif(not CORE.exists(), reason="the C sources are not beside the tests"),
    pytest.mark.skipif(shutil.which(COMPILER) is None, reason="no C compiler"),
]


@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_core_under_sanitizers(sanitizer, tmp_path):
    """Producers that share a growing lane and a consumer that commits in any order: no race, no bad access, no row lost."""
    program = tmp_path / "stress"
    command = [
        COMPILER,
        "-std=c11",
        "-D_GNU_SOURCE",
        "-g",
        "-O1",
        f"-fsanitize={sanitizer}",
        "-fno-sanitize-recover=all",
        "-Wno-tsan",
    ]
    built = subprocess.run(
        [*command, f"-I{CORE}", HERE / "stress.c", *(CORE / source for source in SOURCES), "-o", program, "-lpthread"],
        capture_output=True,
        text=True,
    )
    if built.returncode and "cannot find" in built.stderr:
        pytest.skip(f"this compiler has no {sanitizer} sanitizer: {built.stderr.splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    layout = ["setarch", "-R"] if sanitizer == "thread" and shutil.which("setarch") else []  # its shadow needs a fixed layout
    ran = subprocess.run([*layout, program, "20000"], capture_output=True, text=True, timeout=1000)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("40000 rows")


@pytest.mark.parametrize("source", [*SOURCES, "module.c", *sorted(path.name for path in CORE.glob("bind_*.c"))])
def test_no_warnings(source, tmp_path):
    """Every C file compiles with -Wall -Wextra -Wconversion -Werror."""
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wno-missing-field-initializers"]
    include = sysconfig.get_path("include")
    ran = subprocess.run(
        [COMPILER, *flags, f"-isystem{include}", "-c", CORE / source, "-o", tmp_path / "out.o"],
        capture_output=True,
        text=True,
    )
    if "Python.h" in ran.stderr and "No such file" in ran.stderr:
        pytest.skip(f"no Python headers for {sys.version}")
    assert ran.returncode == 0, ran.stderr
