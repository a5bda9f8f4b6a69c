"""More rows than are kept for a viewer that is not there: the oldest go, and the counts are exact."""

from __future__ import annotations

import os
import time

from helpers import RUNTIME, needs_mounts, start
from helpers_live import free_port, read_by_grpc, rerun

from shmrerun.rrd import decoder
from shmrerun.shm import places

ROWS = 400
SMALL = 'mount -t tmpfs -o size=60m,mode=700 tmpfs SPILL && exec "$0" "$@"'


@needs_mounts
def test_more_than_is_kept(tmp_path):
    """Dropped and delivered rows are together what was logged; static data is kept; the warning names the viewer."""
    spill = f"{os.environ[RUNTIME]}/spill"  # where spools lie: a small file system is mounted there, for this program alone
    os.makedirs(spill, mode=0o700, exist_ok=True)
    port = free_port()
    program = start(
        f"""
import os, time
import numpy as np
import shmrerun as rr
assert os.path.ismount("{spill}")
rr.init("live"); rr.connect_grpc("rerun+http://127.0.0.1:{port}/proxy", flush_timeout_sec=0.5)
random = np.random.default_rng(0)
for i in range({ROWS}):
    rr.set_time("step", sequence=i); rr.log("blob", rr.AnyValues(data=random.integers(0, 255, 100_000, np.uint8)))
    if i % 50 == 0: time.sleep(0.1)
rr.log("static", rr.TextDocument("x"), static=True)
recording = rr.get_global_data_recording()
try:
    recording.flush(timeout_sec=10)
except RuntimeError as error:
    assert "Connection refused" in str(error), error
print("dropped", recording._stream.session.words.dropped_limit, flush=True)
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    try:
        recording.flush(timeout_sec=5)
        break
    except RuntimeError:
        time.sleep(0.1)
print("dropped", recording._stream.session.words.dropped_limit, flush=True)
""",
        tmp_path,
        prefix=("unshare", "-m", "sh", "-c", SMALL.replace("SPILL", spill)),
    )
    while "dropped" not in program.output()[0]:
        assert program.process.poll() is None, program.output()
        time.sleep(0.05)
    with rerun("--serve-grpc", tmp_path=tmp_path, port=port):
        result = program.wait()
        read_by_grpc(port, tmp_path / "got.rrd", 1 << 30, seconds=3)
    places.remove_empty(spill)
    before, after = (int(line.split()[1]) for line in result.stdout.splitlines())
    assert 0 < before == after
    found = [(b.schema, b) for _, _, b in decoder.batches(str(tmp_path / "got.rrd"))]
    steps = [step for schema, batch in found if "step" in schema.names for step in batch.column("step").to_pylist()]
    assert steps == list(range(before, ROWS))
    assert sum(schema.metadata[b"rerun:entity_path"] == b"/static" for schema, _ in found) == 1
    assert f"127.0.0.1:{port}/proxy does not take them" in result.stderr
