"""Each example, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import shmrerun
from shmrerun.rrd.decoder import batches, complete_length

TESTS = Path(__file__).parents[1]
EXAMPLES = TESTS.parent / "examples"


def rows(path):
    """Return how many rows a finished recording has for each entity, its properties apart."""
    assert complete_length(path).has_footer
    found = Counter()
    for _, _, batch in batches(path):
        found[batch.schema.metadata[b"rerun:entity_path"].decode()] += batch.num_rows
    del found["/__properties"]
    return dict(found)


def run(name, *arguments, cwd, warnings="error"):
    """Run an example; warnings and messages on stderr fail it, but that it takes its time at the end. Returns its output."""
    argv = [sys.executable, "-W", warnings, str(EXAMPLES / name), *arguments]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith("shmrerun: finishing ")]
    assert (done.returncode, said) == (0, [])
    return done.stdout


def test_quickstart(tmp_path):
    """The quickstart leaves a complete file with each of its rows once."""
    run("quickstart.py", cwd=tmp_path)
    assert rows(tmp_path / "quickstart.rrd") == {"/wave": 101, "/ring": 100, "/messages": 4}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes(tmp_path, method):
    """Workers without set-up leave each of their rows once in the parent's file, whatever the start method."""
    run("processes.py", "out.rrd", method, cwd=tmp_path)
    expected = {f"/walks/{particle}": 200 for particle in range(8)} | {"/messages": 8, "/ends": 1}
    assert rows(tmp_path / "out.rrd") == expected


def test_layout(tmp_path):
    """The recording has its rows and, before them, a blueprint of five parts."""
    run("layout.py", cwd=tmp_path)
    with shmrerun.read(tmp_path / "layout.rrd") as recording:
        assert {name: entity.num_rows for name, entity in recording.entities.items() if name != "/__properties"} == {
            **{f"/workers/{n}/speed": 200 for n in range(4)}, **{f"/map/{n}": 200 for n in range(4)}, "/messages": 4,
        }  # fmt: skip
    views = [batch for _, _, batch in batches(tmp_path / "layout.rrd") if "ViewBlueprint:class_identifier" in batch.schema.names]
    assert sorted(batch.column("ViewBlueprint:class_identifier")[0].as_py()[0] for batch in views) == ["2D", "TextLog", "TimeSeries"]


def test_read_back(tmp_path):
    """All steps are there at the end; some of them were, before."""
    done = run("read_back.py", cwd=tmp_path)
    meanwhile, _, end = done.partition("at the end")
    assert end.count("of 100 steps") == 4
    assert "/workers/" in meanwhile


def test_custom_sinks(tmp_path):
    """Each of the objects leaves what it made of the rows: Parquet, JPEGs, an alarm."""
    pytest.importorskip("PIL")
    run("custom_sinks.py", ".", cwd=tmp_path)
    assert (tmp_path / "alarms.txt").read_text() == "/loss is NaN at step 13\n"
    assert len(list((tmp_path / "frames").glob("*.jpg"))) == 20
    assert [pq.read_table(tmp_path / "parquet" / f"{name}.parquet").num_rows for name in ("loss", "camera")] == [20, 20]
    assert rows(tmp_path / "custom_sinks.rrd") == {"/loss": 20, "/camera": 20}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_dataloader(tmp_path, method):
    """Workers of a DataLoader leave a row for each sample that they prepared."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    options = ["--out", "out.rrd", "--start-method", method, "--workers", "2", "--epochs", "1", "--samples", "64"]
    run("dataloader.py", *options, cwd=tmp_path, warnings="default")
    found = rows(tmp_path / "out.rrd")
    assert found.pop("/workers/0/augmentation") + found.pop("/workers/1/augmentation") == 64
    once = {"/train/confusion": 1, "/train/accuracy": 1, "/train/loss": 2}
    assert found == {"/samples/image": 64, "/samples/label": 64} | once


def test_every_example_is_tested():
    """No example is without a test that names it."""
    tests = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in tests] == []


def test_live(tmp_path):
    """The live example, to a file and through a pipe to Rerun; where it goes changes nothing of what is logged."""
    run("live.py", "--save", "out.rrd", "--seconds", "1", cwd=tmp_path)
    found = rows(tmp_path / "out.rrd")
    assert set(found) == {f"/waves/{number}" for number in range(4)}
    assert min(found.values()) > 5
    argv = [sys.executable, str(EXAMPLES / "live.py"), "--stdout", "--seconds", "1"]
    with open(tmp_path / "pipe.rrd", "wb") as out:
        done = subprocess.run(argv, stdout=out, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert sum(batch.num_rows for _, _, batch in batches(tmp_path / "pipe.rrd")) > 20
