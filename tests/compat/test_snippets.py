"""The runner of Rerun's snippets and examples tells what is the same from what is not."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("rerun")
RUNNER = os.path.join(os.path.dirname(__file__), "snippets.py")
PROGRAMS = {
    "docs/snippets/snippets.toml": '[extra_args]\n"one" = ["$config_dir/../../given.txt"]\n',
    "given.txt": "given",
    "docs/snippets/all/one.py": """
import sys
import numpy
import rerun as rr
import rerun.blueprint as rrb
rr.init("one", spawn=True)
for step in range(5):
    rr.set_time("step", sequence=step)
    rr.log("random", rr.Points3D(numpy.random.default_rng().random((2, 3)), labels=open(sys.argv[1]).read()))
rr.send_blueprint(rrb.Horizontal(rrb.Spatial3DView(), rrb.TextLogView()))
""",
    "docs/snippets/all/printed.py": """
import uuid
import rerun as rr
print(uuid.uuid4(), rr.Points3D([1, 2, 3]))
""",
    "examples/python/name/name.py": """
import rerun as rr
rr.init("name")
rr.log("module", rr.TextLog(rr.__name__))
""",
    "examples/python/absent/absent.py": "import no_such_package\n",
    "tests/python/pair/__init__.py": "",
    "tests/python/pair/other.py": "TEXT = 'from the other file'\n",
    "tests/python/pair/main.py": """
from .other import TEXT
import rerun as rr
with rr.RecordingStream("pair") as recording:
    recording.save("own.rrd")
    recording.log("text", rr.TextLog(TEXT), static=True)
""",
    "tests/python/plan/plan.py": """
import rerun as rr
import rerun.blueprint as rrb
rr.init("plan")
rr.send_blueprint(rrb.Spatial3DView(name=rr.__name__))
""",
}


def test_what_is_the_same(tmp_path):
    """Recordings, blueprints and prints are compared; random numbers are equal; arguments, modules and missing packages are seen to."""
    for name, text in PROGRAMS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    done = subprocess.run([sys.executable, RUNNER, tmp_path], capture_output=True, text=True, timeout=250, check=False)
    said = {line.split()[1]: line for line in done.stdout.splitlines() if line.startswith(("same ", "DIFF ", "skip "))}
    outcomes = {os.path.basename(name): line.split()[0] for name, line in said.items()}
    wanted = {"one.py": "same", "printed.py": "same", "name.py": "DIFF", "absent.py": "skip", "other.py": "skip", "main.py": "same"}
    assert outcomes == wanted | {"plan.py": "DIFF"}, done.stdout + done.stderr
    assert "no_such_package" in said["examples/python/absent/absent.py"]
    assert "'shmrerun'" in said["examples/python/name/name.py"]
    assert "blueprint" in said["tests/python/plan/plan.py"]
    assert "examples/python: 0 same, 1 different, 0 known to differ, 1 skipped" in done.stdout
    assert done.stdout.splitlines()[-1] == "3 same, 2 different, 0 known to differ, 2 skipped"
    assert done.returncode == 1
