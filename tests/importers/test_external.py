"""External importers: found on the PATH, told what Rerun tells them, and believed as little as any other program."""

import os

import pytest
from helpers import check, read_rows, run, scalars
from helpers_importers import log, program

WRITE = """
import sys
import numpy, rerun as rr
rec = rr.RecordingStream(sys.argv[sys.argv.index("--application-id") + 1], recording_id=sys.argv[sys.argv.index("--recording-id") + 1])
rec.stdout()
for step in range({count}):
    rec.set_time("step", sequence=step)
    rec.log("from/{name}", rr.Scalars(step))
rec.flush()
rec.disconnect()
"""
TELL = """
import json, os, sys
with open({path!r}, "a") as file:
    print(json.dumps([sys.argv, os.environ.get("RERUN_APP_ONLY"), sys.stdin.read()]), file=file)
sys.exit(66)
"""
CALL = """
import importlib, os, sys, warnings
warnings.simplefilter("always")
rr = importlib.import_module(sys.argv[1])
os.environ["RERUN_APP_ONLY"] = "true"
recording = rr.RecordingStream("an app", recording_id="a rec", send_properties=False)
recording.save(sys.argv[1] + ".rrd")
recording.set_time("steps", sequence=-3)
recording.set_time("dur", duration=1.5)
recording.set_time("a b", timestamp=1e9)
for options in ({}, {"entity_path_prefix": "pre/fix"}, {"static": True}):
    for path in ("x.foo", "./sub"):
        recording.log_file_from_path(path, **options)
recording.log_file_from_path("known.txt")
recording.log_file_from_contents("y.foo", b"x")
recording.flush()
"""


def told(tmp_path, package, bins):
    path = str(tmp_path / f"{package}.json")
    program(bins[0], "rerun-importer-a", TELL.format(path=path))
    env = {"PATH": os.pathsep.join(map(str, bins))}
    ended = run(CALL, tmp_path, arguments=(package,), env=env, strict=False)
    import json

    with open(path, encoding="utf-8") as file:
        calls = [json.loads(line) for line in file]
    for call in calls:
        call[0] = [word if not word.startswith("log_time=") else "log_time" for word in call[0]]
    return sorted(calls), ended


def test_the_same_command_line(tmp_path):
    """Programs get the arguments, the environment and the standard input that rerun-sdk 0.41 gives them, and are offered the same."""
    pytest.importorskip("rerun")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "z.unknown").touch()
    for name in ("x.foo", "known.txt"):
        (tmp_path / name).write_text("x")
    bins = [tmp_path / "bin"]
    ours, ended = told(tmp_path, "shmrerun", bins)
    theirs, _ = told(tmp_path, "rerun", bins)
    assert len(ours) == 6 + 3
    assert ours == theirs
    assert ended.stderr.count("No importer support for") == 4, ended.stderr
    assert ended.stderr.count("nothing loads files of this type: sub/z.unknown") == 3


def test_what_they_write_is_there(tmp_path):
    """Two programs take one file; of equal names the first on the PATH runs; what cannot be executed does not; old names are told once."""
    bins = [tmp_path / "one", tmp_path / "two", tmp_path / "gone", tmp_path / "two"]
    program(bins[0], "rerun-importer-a", WRITE.format(count=50, name="first"))
    program(bins[1], "rerun-importer-a", WRITE.format(count=50, name="second"))
    program(bins[1], "rerun-loader-b", WRITE.format(count=70, name="old"))
    os.chmod(program(bins[1], "rerun-importer-c", WRITE.format(count=1, name="never")), 0o600)
    os.mkdir(bins[1] / "rerun-importer-d")
    (tmp_path / "x.foo").touch()
    ended = log("shmrerun", "ours.rrd", ["x.foo"], tmp_path, env={"PATH": os.pathsep.join(map(str, bins))})
    rows = check(tmp_path / "ours.rrd")
    assert scalars(rows, "/from/first") == [*range(50)]
    assert scalars(rows, "/from/old") == [*range(70)]
    assert {*rows} & {"/from/second", "/from/never"} == set()
    assert ended.stderr.count("rerun-loader-b has the old prefix") == 1


BAD = {
    "declines": ("import sys; print('no', file=sys.stderr); sys.exit(66)", None),
    "fails": (
        "import sys; print('broken', file=sys.stderr); sys.exit(3)",
        "failed with status 3 after 0 messages; it said: broken",
    ),
    "is killed": ("import os; os.kill(os.getpid(), 9)", "was killed by signal 9"),
    "writes garbage": ("import sys\nwhile True: sys.stdout.write('garbage' * 1000)", "begins with b'garb'"),
    "floods": ("import sys\nfor _ in range(100_000): print('x' * 100, file=sys.stderr)\nsys.exit(2)", "failed with status 2"),
    "no program": (None, "cannot run"),
}


@pytest.mark.parametrize("name", BAD)
def test_those_that_are_broken(tmp_path, name):
    """A program that declines, fails, is killed, floods or writes garbage has not taken the file; why is said with its own words."""
    text, expected = BAD[name]
    path = program(tmp_path / "bin", "rerun-importer-a", text or "")
    if text is None:
        with open(path, "wb") as file:
            file.write(b"#!/no/such/interpreter\n")
    (tmp_path / "x.foo").touch()
    ended = log("shmrerun", "ours.rrd", ["x.foo"], tmp_path, env={"PATH": str(tmp_path / "bin")})
    assert ended.stderr.count('No importer support for "x.foo"') == 1, ended.stderr
    if expected:
        assert expected in ended.stderr
    assert len(ended.stderr) < 20_000


def test_half_of_it(tmp_path):
    """Of a program that dies, or goes mad, in the middle, everything whole that it wrote is there, and its end is said."""
    for name, end in {"dies": "import os; os.kill(os.getpid(), 9)", "raves": "import os; os.write(1, b'rubbish' * 100)"}.items():
        program(tmp_path / "bin", f"rerun-importer-{name}", WRITE.format(count=50, name=name) + end)
    (tmp_path / "x.foo").touch()
    ended = log("shmrerun", "ours.rrd", ["x.foo"], tmp_path, env={"PATH": str(tmp_path / "bin")})
    rows = check(tmp_path / "ours.rrd")
    assert scalars(rows, "/from/dies") == scalars(rows, "/from/raves") == [*range(50)]
    assert "rerun-importer-dies was killed by signal 9" in ended.stderr
    assert "what rerun-importer-raves wrote cannot be used any further" in ended.stderr


def test_one_that_hangs(tmp_path):
    """One that is silent after its rows holds up neither the call, nor a flush for longer than that wants, nor the end of the program."""
    program(tmp_path / "bin", "rerun-importer-a", WRITE.format(count=50, name="a") + "import time; time.sleep(1000)")
    (tmp_path / "x.foo").touch()
    run(
        """
        import pytest, shmrerun as rr
        from shmrerun.errors import FlushTimeoutError
        rr.init("app", strict=True, recording_id="rec")
        rr.save("out.rrd")
        rr.log_file_from_path("x.foo")
        with pytest.raises(FlushTimeoutError, match="reading x.foo goes on"):
            rr.get_data_recording().flush(timeout_sec=0.2)
        rr.log("after", rr.Scalars(1))
        """,
        tmp_path,
        env={"PATH": str(tmp_path / "bin")},
    )
    rows = read_rows(tmp_path / "out.rrd")
    assert len(scalars(rows, "/from/a")) == 50
    assert len(scalars(rows, "/after")) == 1
