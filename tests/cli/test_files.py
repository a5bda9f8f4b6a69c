"""The commands on files, each as a real process; rerun's own commands are the judge."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pytest
from helpers import check
from helpers_rrd import STORE, rerun, scalars, several, tuid, verify, write
from pyarrow import parquet

import shmrerun as rr
from shmrerun import framing
from shmrerun.rrd import decoder, encoder, proto
from shmrerun.rrd.chunk import encode
from shmrerun.testing import wait_until

_SECONDS = 120


def cli(*arguments, cwd, status=0):
    """Run the command line; returns what it printed, and what it said on stderr."""
    argv = [sys.executable, "-m", "shmrerun", *map(str, arguments)]
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout, done.stderr


@pytest.fixture
def file(tmp_path):
    """A finished file with chunks of every sort."""
    path = tmp_path / "a.rrd"
    write(path, several())
    return path


def test_verify(file, tmp_path):
    """What rerun finds whole is whole; damage, missing footers and other files are told by the exit status."""
    assert verify(file)[0] == 0
    assert cli("verify", file, cwd=tmp_path) == (f"{file}: whole, 19 rows in 10 chunks\n", "")
    torn, bare, text = tmp_path / "torn.rrd", tmp_path / "bare.rrd", tmp_path / "text.rrd"
    data = file.read_bytes()
    torn.write_bytes(data[: len(data) // 2])
    write(bare, several(), footer=False)
    text.write_text("nothing of the kind")
    for path, problem in ((torn, "no whole message"), (bare, "no footer")):
        assert verify(path)[0] == 1
        assert problem in cli("verify", path, cwd=tmp_path, status=1)[0]
    cli("verify", "--no-footer", bare, cwd=tmp_path)
    assert "Not an .rrd file" in cli("verify", text, cwd=tmp_path, status=2)[0]
    out = json.loads(cli("verify", "--json", file, tmp_path / "none.rrd", bare, cwd=tmp_path, status=2)[0])
    assert [one["ok"] for one in out["files"]] == [True, False, False]


@pytest.mark.parametrize("lie", ["unsorted", "id", "footer", "data"])
def test_verify_finds_lies(tmp_path, lie):
    """Times said to be sorted, ids that differ, footers that miss chunks, and data that do not decode are found."""
    path = tmp_path / "a.rrd"
    chunk = scalars("/a")
    if lie == "unsorted":
        batch = chunk.batch
        at = batch.schema.names.index("frame")
        batch = batch.set_column(at, batch.schema.field(at), pa.array([2, 1, 0]))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        plain = sink.getvalue().to_pybytes()
        encoded = encode(chunk)._replace(payload=(pa.Codec("lz4_raw").compress(plain, asbytes=True),), uncompressed_size=len(plain))
    else:
        encoded = encode(chunk)
    if lie == "id":
        encoded = encoded._replace(chunk_id=tuid())
    if lie == "data":
        encoded = encoded._replace(payload=(bytes(len(encoded.payload[0])),))
    manifest = write(path, [scalars("/b")], footer=False)
    buffers, size = encoder.arrow_msg(STORE, encoded)
    data = path.read_bytes()
    if lie != "footer":
        manifest.add(chunk, len(data) + 16, size - 16, encoded.uncompressed_size)
    data += b"".join(buffers)
    path.write_bytes(data + encoder.end_message(manifest.payload(STORE), len(data) + 16))
    words = {"unsorted": "said to be sorted", "id": "names it", "footer": "misses 1", "data": "decode"}
    assert words[lie] in cli("verify", path, cwd=tmp_path, status=1)[0]


def test_stats(file, tmp_path):
    """Counts of chunks and rows, by entity and by timeline, are those that rerun counts."""
    out = json.loads(cli("stats", "--json", file, cwd=tmp_path)[0])
    (store,) = out["files"][0]["stores"]
    theirs = rerun("rrd", "stats", file).stdout
    assert f"num_chunks = {store['chunks']}\n" in theirs
    assert f"num_rows = {store['rows']}\n" in theirs
    assert f"num_entity_paths = {len(store['entities'])}\n" in theirs
    for path, entity in store["entities"].items():
        assert f"\n{path}: {entity['chunks']}\n" in theirs
    assert store["timelines"]["frame"] == {"type": "int64", "start": 0, "end": 5, "rows": 12, "range": "0 .. 5"}
    text = cli("stats", file, cwd=tmp_path)[0]
    assert "/world/points" in text
    assert "recording app / recording" in text
    _, said = cli("stats", file, "none.rrd", cwd=tmp_path, status=2)
    assert "none.rrd: No such file" in said


def test_cat(file, tmp_path):
    """Rows come in the order of the file or sorted by a timeline, as text or as JSON, chosen by entity and number."""
    lines = [json.loads(line) for line in cli("cat", "--json", file, cwd=tmp_path)[0].splitlines()]
    assert len(lines) == 19
    assert lines[0] == {"entity": "/a", "times": {"frame": 0, "log_time": 0}, "components": {"Scalars:scalars": [0.0]}}
    assert cli("cat", file, "-n", 1, cwd=tmp_path)[0] == "/a  frame=0  log_time=1970-01-01T00:00:00.000000000  Scalars:scalars=[0.0]\n"
    text = cli("cat", file, "--entity", "/world/**", "--timeline", "zeit", cwd=tmp_path)[0].splitlines()
    assert [line.split("  ")[0] for line in text] == ["zeit=5e-09s", "zeit=5e-09s", "zeit=9e-09s"]
    assert "there are" in cli("cat", file, "--timeline", "x", cwd=tmp_path, status=2)[1]
    assert "No such file" in cli("cat", "none.rrd", cwd=tmp_path, status=2)[1]
    assert "ends in" in cli("cat", file, "--entity", "*", cwd=tmp_path, status=2)[1]


def test_a_pipe_that_ends(tmp_path):
    """`shmrerun cat | head` ends quietly."""
    path = tmp_path / "a.rrd"
    write(path, [scalars("/a", 20_000)])
    command = f"{sys.executable} -m shmrerun cat a.rrd | head -n 2; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (141, "", 2)


def test_follow(tmp_path):
    """A file that is being written is shown row by row until its End; one that goes away, or Ctrl-C, ends it too."""
    path = tmp_path / "a.rrd"
    write(path, [scalars("/a", 2)], footer=False)
    whole = path.read_bytes()
    argv = [sys.executable, "-m", "shmrerun", "cat", "--follow", "--json", "a.rrd"]
    more = tmp_path / "b.rrd"
    write(more, [scalars("/b", 3)])
    rest = more.read_bytes()[framing.STREAM_HEADER_BYTES :]
    for how, status in (("end", 0), ("remove", 1), ("interrupt", 130), ("cut", 1)):
        path.write_bytes(whole)
        with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert [json.loads(process.stdout.readline())["entity"] for _ in range(2)] == ["/a"] * 2
            with open(path, "ab") as file:
                file.write(rest[:100])
                file.flush()
                time.sleep(0.3)
                assert process.poll() is None
                if how == "end":
                    file.write(rest[100:])
            if how == "remove":
                path.unlink()
            elif how == "interrupt":
                process.send_signal(signal.SIGINT)
            elif how == "cut":
                os.truncate(path, 20)
            out, said = process.communicate(timeout=_SECONDS)
            assert process.returncode == status, said
            assert len(out.splitlines()) == (3 if how == "end" else 0)


def test_follow_a_program(tmp_path):
    """Rows of a running program show up, and its end ends the command."""
    program = (
        "import sys, shmrerun as rr\n"
        "rr.init('followed'); rr.save('live.rrd')\n"
        "for line in sys.stdin:\n"
        "    rr.set_time('step', sequence=int(line)); rr.log('/x', rr.Scalars(1)); rr.get_data_recording().flush()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdin=subprocess.PIPE, text=True) as writer:
        wait_until((tmp_path / "live.rrd").exists, 60, "the file")
        argv = [sys.executable, "-m", "shmrerun", "cat", "-f", "--entity", "/x", "--timeline", "step", "live.rrd"]
        with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as reader:
            for number in range(3):
                writer.stdin.write(f"{number}\n")
                writer.stdin.flush()
                assert reader.stdout.readline() == f"/x  step={number}  Scalars:scalars=[1.0]\n"
            writer.stdin.close()
            assert reader.wait(_SECONDS) == 0


def test_merge(file, tmp_path):
    """The merged file has every chunk of every store once, as rerun's merge has it, and is whole."""
    other, blueprint = tmp_path / "b.rrd", tmp_path / "c.rbl"
    write(other, [scalars("/b2", 5)], footer=False, store=encoder.store_id("other", "2"))
    layout = encoder.store_id("app", "layout", encoder.BLUEPRINT)
    write(blueprint, [scalars("/view", 1)], footer=False, store=layout)
    command = proto.BlueprintActivationCommand(blueprint_id=proto.StoreId.FromString(layout), make_active=True)
    with open(blueprint, "ab") as stream:
        stream.write(framing.frame(framing.BLUEPRINT_ACTIVATION, command.SerializeToString()))
    paths = [blueprint, file, other, file]
    out = json.loads(cli("merge", *paths, "-o", "m.rrd", "--json", cwd=tmp_path)[0])
    assert out == {"path": "m.rrd", "rows": 25, "chunks": 12, "twice": 10, "problems": []}
    assert verify(tmp_path / "m.rrd") == (0, "1 file verified without error.\n")
    cli("verify", "m.rrd", cwd=tmp_path)
    assert rerun("rrd", "merge", *paths, "-o", tmp_path / "theirs.rrd").returncode == 0
    ours, theirs = rr.read(tmp_path / "m.rrd"), rr.read(tmp_path / "theirs.rrd")
    assert {*ours.stores} == {*theirs.stores}
    for store in ours.stores:
        chunks = [
            sorted((batch.to_pylist() for batch in rr.read(recording.path, store=store).chunks()), key=repr) for recording in (ours, theirs)
        ]
        assert repr(chunks[0]) == repr(chunks[1]), store
    kinds = [message.kind for message in decoder.scan(str(tmp_path / "m.rrd"))][:-1]
    assert kinds[-1] == framing.BLUEPRINT_ACTIVATION
    assert kinds.count(framing.BLUEPRINT_ACTIVATION) == 1
    torn = tmp_path / "torn.rrd"
    torn.write_bytes(file.read_bytes()[:9000])
    assert "no whole message" in cli("merge", torn, "-o", torn, cwd=tmp_path, status=1)[1]
    assert verify(torn)[0] == 0
    before = sorted(entry.name for entry in tmp_path.iterdir())
    cli("merge", file, "none.rrd", "-o", "n.rrd", cwd=tmp_path, status=2)
    cli("merge", file, "-o", "nowhere/n.rrd", cwd=tmp_path, status=2)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before


def test_convert(file, tmp_path):
    """Parquet files hold the tables of entities, or one table over a timeline; no entity's name leaves the directory."""
    chunks = [scalars("/a/../b\\ c", 2), scalars("/..", 1), scalars("/ä", 1), *several()]
    write(file, chunks)
    out = json.loads(cli("convert", file, "-o", "tables", "--json", cwd=tmp_path)[0])
    recording = rr.read(file)
    files = sorted(str(path.relative_to(tmp_path / "tables")) for path in (tmp_path / "tables").rglob("*.parquet"))
    assert files == sorted(os.path.relpath(one["path"], "tables") for one in out["files"])
    assert "a/%2E%2E/b%20c.parquet" in files
    assert "%2E%2E.parquet" in files
    assert parquet.read_table(tmp_path / "tables" / "a.parquet").to_pylist() == pa.table(recording["/a"]).to_pylist()
    cli("convert", file, "-o", "frame.parquet", "--timeline", "frame", "--entity", "/a/**", cwd=tmp_path)
    assert parquet.read_table(tmp_path / "frame.parquet").to_pylist() == pa.table(recording.view("frame", "/a/**")).to_pylist()
    cli("convert", file, "-o", "by_zeit", "--timeline", "zeit", cwd=tmp_path)
    assert [path.name for path in (tmp_path / "by_zeit").rglob("*.parquet")] == ["points.parquet"]
    assert "--timeline" in cli("convert", file, "-o", "x.parquet", cwd=tmp_path, status=2)[1]
    assert "there are" in cli("convert", file, "-o", "x", "--timeline", "x", cwd=tmp_path, status=2)[1]


def test_convert_tells_what_parquet_cannot_hold(tmp_path):
    """An entity with unions, as tensors have them, is left out and told; the others are there."""
    program = (
        "import numpy as np, shmrerun as rr\n"
        "with rr.RecordingStream('app') as recording:\n"
        "    recording.save('a.rrd'); recording.log('t', rr.Tensor(np.zeros((2, 2)))); recording.log('s', rr.Scalars(1))\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=_SECONDS)
    check(tmp_path / "a.rrd")
    out, said = cli("convert", "a.rrd", "-o", "tables", cwd=tmp_path, status=1)
    assert "left out: /t" in said
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == ["s.parquet"]
    assert "1 rows of /s" in out


def test_progress_is_for_terminals(tmp_path):
    """On a terminal a long command shows a bar, if rich is there; its output is the same."""
    pytest.importorskip("rich")
    path = tmp_path / "a.rrd"
    write(path, [scalars("/a", 10)] * 3)
    program = (
        "import sys, time\nfrom shmrerun.cli import _progress\n_progress._PATIENCE_SECONDS = 0\n"
        "from shmrerun.cli.main import main\nsys.exit(main(['verify', '--no-footer', 'a.rrd']))\n"
    )
    parent, child = pty.openpty()
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=child, text=True, timeout=_SECONDS, check=False)
    os.close(child)
    shown = os.read(parent, 65536).decode()
    os.close(parent)
    assert "verify a.rrd" in shown
    assert done.stdout == "a.rrd: whole, 30 rows in 3 chunks\n"
