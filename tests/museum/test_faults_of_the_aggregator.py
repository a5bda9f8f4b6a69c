"""Seen: an exception of an unplanned type in the aggregator lost a whole lane, wrote a chunk twice, or left the new file locked by itself.

What raised was CPython: of two threads that import at once, one may find a package that the other has not finished, and breaks it
(``NameError: name 'sys' is not defined`` in ``importlib``). So nothing of ours imports beside another thread, and whatever a turn raises,
wherever, the session is hosted anew from what is in shared memory, as after a death.
"""

from __future__ import annotations

import os
import sys

import pytest
from helpers import check, run, scalars

import shmrerun.blueprint as rrb
from shmrerun.rrd import decoder

INJECTIONS = int(os.environ.get("MUSEUM_INJECTIONS", "60"))

HOOK = """
def hook():
    import os, random, signal, sys
    kinds, log, limit = {kinds!r}, {log!r}, {limit!r}
    random.seed(os.getpid())
    left = [random.randrange(300, 4000)]
    def profile(frame, event, function):
        if event not in kinds or "/shmrerun/" not in frame.f_code.co_filename:
            return
        left[0] -= 1
        if left[0] > 0:
            return
        left[0] = random.randrange(300, 4000)
        if os.path.exists(log) and os.path.getsize(log) >= limit:
            return
        with open(log, "a") as file:
            file.write("x")
        raise random.choice([RuntimeError, MemoryError, KeyError, AttributeError])("injected")
    def arm(*_):  # what raises in a profile function ends profiling
        sys.setprofile(profile)
    def begin(frame, event, function):
        if frame.f_code.co_name == "_turn_all":
            sys.setprofile(profile)
            signal.signal(signal.SIGALRM, arm)
            signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    sys.setprofile(begin)
hook()
"""

PYTHON = """#!/bin/sh
if [ "$7" = aggregator ]; then
    stub=$5
    shift 5
    exec {python} -I -X utf8 -c "exec(open('{hook}').read())
$stub" "$@"
fi
exec {python} "$@"
"""

PROGRAM = """
import os, sys
import shmrerun as rr

plan, log, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
number = 0
while not os.path.exists(log) or os.path.getsize(log) < limit:
    rec = rr.RecordingStream("museum", recording_id=f"r{number}", send_properties=False)
    if number % 2:
        rec.log("rows", rr.Scalars(0))
    rec.save(f"{number}.rrd", default_blueprint=plan if number % 3 else None)
    for i in range(number % 2, 20):
        rec.set_time("i", sequence=i)
        rec.log("rows", rr.Scalars(i))
        if i == 10 and number % 3 == 0:
            rec.send_blueprint(plan)
    rec.flush()
    rec.log("other", rr.TextLog("."))
    rec.disconnect()
    number += 1
print(number)
"""


@pytest.mark.timeout(120 + INJECTIONS)
@pytest.mark.parametrize("kinds", ["call", "c_call"])
def test_exceptions_at_every_step(tmp_path, kinds):
    """Before calls of Python and of C: all rows and messages are in the files, once, and none is called lost."""
    plan, log = tmp_path / "plan.rbl", tmp_path / "injected"
    rrb.Blueprint(rrb.TextLogView(origin="/other")).save("museum", plan)
    python = _python(tmp_path, HOOK.format(kinds=(kinds,), log=str(log), limit=INJECTIONS))
    done = run(PROGRAM, tmp_path, arguments=(plan, log, INJECTIONS), env=python, deadline=60 + INJECTIONS)
    said = [line for line in done.stderr.splitlines() if "the aggregator failed" not in line]
    assert not [line for line in said if "lost" in line or "dropped" in line]
    sent, last = _content(plan), int(done.stdout) - 1
    assert last > 0
    for number in range(last + 1):
        assert _content(tmp_path / f"{number}.rrd") == {**sent, "/rows": 20, "/other": 1}, number
    assert scalars(check(tmp_path / f"{last}.rrd"), "/rows") == list(range(20))


def test_a_broken_process_begins_anew(tmp_path):
    """Seen: an import that had failed half way failed for ever, and each row that needed it was called impossible to encode, and lost."""
    python = _python(tmp_path, "import os, sys\nif 'SHMRERUN_ANEW' not in os.environ: sys.modules['pyarrow'] = None\n")
    done = run(
        """
        import shmrerun as rr
        from shmrerun.testing import aggregator_pid
        rr.init("museum")
        rr.save("out.rrd")
        from helpers_programs import own_tree
        pid = aggregator_pid(own_tree())
        for i in range(100):
            rr.log("rows", rr.Scalars(i))
        rr.get_global_data_recording().flush(timeout_sec=30)
        assert pid == aggregator_pid(own_tree())
        """,
        tmp_path,
        env=python,
    )
    assert scalars(check(tmp_path / "out.rrd"), "/rows") == list(range(100))
    assert "pyarrow" in done.stderr
    assert "lost" not in done.stderr


def _python(tmp_path, hook):
    """The environment in which aggregators run some code first."""
    path, python = tmp_path / "hook.py", tmp_path / "python"
    path.write_text(hook)
    python.write_text(PYTHON.format(python=sys.executable, hook=path))
    python.chmod(0o755)
    return {"SHMRERUN_PYTHON": str(python)}


def _content(path):
    """Rows by entity, of the blueprint as well."""
    rows = {}
    for _, _, batch in decoder.batches(path):
        entity = batch.schema.metadata[b"rerun:entity_path"].decode()
        rows[entity] = rows.get(entity, 0) + batch.num_rows
    return rows
