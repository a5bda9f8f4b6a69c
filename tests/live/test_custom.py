"""Custom sinks: users' objects get what was logged, whatever they, their process or the live worker do."""

from __future__ import annotations

import json

import pytest
from helpers import check, has_footer, read_rows, run, scalars

from shmrerun.testing import wait_until

SINK = """
import json, multiprocessing, os, signal, sys, time
import shmrerun as rr

class Lines:
    '''Appends the scalars of each batch to a file, as a line.'''
    def __init__(self, path, poison=None, how=None):
        self.path, self.poison, self.how = path, poison, how
    def say(self, *what):
        with open(self.path, "a") as file:
            file.write(json.dumps(what) + "\\n")
    def write(self, batch):
        if not batch.entity_path.startswith("/rows"):
            return
        assert (batch.application_id, batch.is_static, len(batch.recording_id) > 0) == ("custom", False, True)
        assert "log_tick" in batch.timelines, batch.timelines
        column = next(i for i, field in enumerate(batch.record_batch.schema) if field.name == "Scalars:scalars")
        values = [int(row[0]) for row in batch.record_batch.column(column).to_pylist()]
        if self.poison in values:
            self.how()
        self.say(batch.entity_path, values)
    def flush(self):
        self.say("flush", [])
    def close(self):
        time.sleep(0.3)
        self.say("close", [])

def work(number, rows, pause=0.0):
    for i in range(rows):
        rr.log(f"rows/{number}", rr.Scalars(i))
        if pause: time.sleep(pause)

def workers(count, rows, pause=0.0):
    found = [multiprocessing.get_context("fork").Process(target=work, args=(n, rows, pause)) for n in range(count)]
    for process in found: process.start()
    return found

def wait(done, what):
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)

def read(path):
    with open(path) as file:
        return file.read()

def entry():
    from shmrerun.shm.session import sinks
    from shmrerun.shm.words import SINK_CUSTOM
    return next(sink for sink in sinks(recording._stream.session.words) if sink.kind == SINK_CUSTOM)

rr.init("custom")
recording = rr.get_global_data_recording()
"""
ONE_EACH = """
def log_each(count):
    '''A batch for each row.'''
    for i in range(count):
        rr.log("rows", rr.Scalars(i)); recording.flush()
"""


def lines(path):
    """What the object wrote: values by entity, and the names of other calls in order."""
    values, calls = {}, []
    for line in path.read_text().splitlines():
        name, found = json.loads(line)
        if name.startswith("/"):
            values.setdefault(name, []).extend(found)
        else:
            calls.append(name)
    return values, calls


def test_rows_of_workers(tmp_path):
    """Exactly the rows of three workers and of before, the same as in the file beside; the program's end waits for close()."""
    result = run(
        SINK
        + """
rr.log("rows/before", rr.Scalars(7))
rr.set_sinks(rr.CustomSink(Lines("got.txt")), rr.FileSink("log.rrd"))
for process in workers(3, 500): process.join()
recording.flush()
print(read("got.txt").count("flush") > 0)
rr.log("rows/after", rr.Scalars(8))
""",
        tmp_path,
    )
    assert (result.stdout, result.stderr) == ("True\n", "")
    got, calls = lines(tmp_path / "got.txt")
    rows = check(tmp_path / "log.rrd")
    assert got == {entity: scalars(rows, entity) for entity in rows if entity.startswith("/rows")}
    assert {entity: sorted(values) for entity, values in got.items()} == {
        "/rows/before": [7], "/rows/after": [8], **{f"/rows/{n}": list(range(500)) for n in range(3)},
    }  # fmt: skip
    assert (calls.count("close"), calls[-1]) == (1, "close")


def test_alone_and_by_its_write_method(tmp_path):
    """An object with a write method is a sink by itself; `disconnect` closes it, and rows that follow go to the next one."""
    run(
        SINK
        + """
rr.set_sinks(Lines("first.txt"))
rr.log("rows", rr.Scalars(1))
rr.disconnect()
assert read("first.txt").endswith('["close", []]\\n')
rr.log("rows", rr.Scalars(2))
rr.set_sinks(Lines("second.txt"))
""",
        tmp_path,
    )
    assert (lines(tmp_path / "first.txt")[0], lines(tmp_path / "second.txt")[0]) == ({"/rows": [1]}, {"/rows": [2]})


def test_write_raises(tmp_path):
    """It is told once, with where and what; that batch is counted, all others arrive, and nothing waits."""
    result = run(
        SINK
        + ONE_EACH
        + """
def fail(): raise LookupError("no such thing")
rr.set_sinks(rr.CustomSink(Lines("got.txt", 3, fail), name="mine"), rr.FileSink("log.rrd"))
log_each(6)
print(entry().dropped)
for i in (3, 3): rr.log("rows", rr.Scalars(i)); recording.flush()
print(entry().dropped)
""",
        tmp_path,
    )
    assert result.stdout.split() == ["1", "3"]
    assert result.stderr.count("LookupError: no such thing") == 1, result.stderr
    assert "mine: " in result.stderr
    assert "in fail" in result.stderr
    assert "mine did not take 3 rows" in result.stderr
    assert lines(tmp_path / "got.txt")[0] == {"/rows": [0, 1, 2, 4, 5]}


@pytest.mark.parametrize("how", ["os._exit(7)", "os.kill(os.getpid(), signal.SIGSEGV)", "time.sleep(1000)"])
def test_a_batch_that_kills(tmp_path, how):
    """A process that dies of a batch, or hangs in it, is ended and started again; the batch is passed over and counted."""
    result = run(
        SINK
        + ONE_EACH
        + f"""
def die():
    with open("tries", "a") as file: file.write("x")
    {how}
rr.set_sinks(rr.CustomSink(Lines("got.txt", 3, die), timeout_sec=1.5), rr.FileSink("log.rrd"))
log_each(6)
print(entry().dropped, len(read("tries")))
""",
        tmp_path,
    )
    assert result.stdout.split() == ["1", "1" if "sleep" in how else "2"]
    word = {"o": "exit code 7", "t": "longer than 1.5 s"}.get(how[0] if "kill" not in how else "k", "SIGSEGV")
    assert word in result.stderr, result.stderr
    assert lines(tmp_path / "got.txt")[0] == {"/rows": [0, 1, 2, 4, 5]}


def test_given_up_after_five_deaths(tmp_path):
    """An object whose every write is deadly is given up with a word; its rows are counted, a flush and the end wait for nothing."""
    result = run(
        SINK
        + ONE_EACH
        + """
class Deadly:
    def write(self, batch): os._exit(9)
rr.set_sinks(rr.CustomSink(Deadly(), flush_timeout_sec=30), rr.FileSink("log.rrd"))
log_each(20)
wait(lambda: entry().error == __import__("errno").EPROTO, "given up")
recording.flush()
began = time.monotonic()
log_each(20)
print(time.monotonic() - began < 10, entry().dropped >= 40)
""",
        tmp_path,
    )
    assert result.stdout.split() == ["True", "True"]
    assert "given up after its process died 5 times in a row" in result.stderr, result.stderr
    assert "exit code 9" in result.stderr
    assert len(scalars(check(tmp_path / "log.rrd"), "/rows")) == 40


def test_what_cannot_work_is_an_error_in_the_caller(tmp_path):
    """An object that cannot be pickled changes nothing; one that cannot be made there is ended; something else is no sink."""
    (tmp_path / "gone.py").write_text("class Sink:\n    def write(self, batch): pass\n    def __reduce__(self): return fail, ()\n")
    with open(tmp_path / "gone.py", "a") as file:
        file.write("def fail():\n    raise ImportError('no module named nothing')\n")
    result = run(
        SINK
        + """
import threading
rr.save("log.rrd")
class Locked:
    def __init__(self): self.lock = threading.Lock()
    def write(self, batch): pass
try: rr.set_sinks(Locked())
except RuntimeError as error: print(type(error).__name__, error)
for wrong in (Lines, object()):
    try: rr.set_sinks(wrong)
    except RuntimeError as error: print(error)
rr.log("rows", rr.Scalars(1))
rr.disconnect()
import gone
began = time.monotonic()
try: rr.set_sinks(rr.CustomSink(gone.Sink(), name="gone"))
except RuntimeError as error: print(type(error).__name__, error)
print(time.monotonic() - began < 15)
rr.log("rows", rr.Scalars(2))
rr.save("next.rrd")
""",
        tmp_path,
        env={"PYTHONPATH": f"{__file__.rpartition('/')[0]}/..:{tmp_path}"},
    )
    assert "SinkError Locked cannot be pickled" in result.stdout
    assert "cannot pickle '_thread.lock' object" in result.stdout
    assert result.stdout.count("is not a valid LogSink") == 2
    assert "SinkError gone: it cannot be made in a process of its own" in result.stdout
    assert "no module named nothing" in result.stdout
    assert result.stdout.endswith("True\n")
    assert scalars(check(tmp_path / "log.rrd"), "/rows") == [1]
    assert scalars(check(tmp_path / "next.rrd"), "/rows") == [2]


def test_flush_and_close_raise(tmp_path):
    """It is told once; the rows are there, and nothing waits."""
    result = run(
        SINK
        + """
class Bad(Lines):
    def flush(self): raise ValueError("in flush")
    def close(self): raise ValueError("in close")
rr.set_sinks(Bad("got.txt"))
rr.log("rows", rr.Scalars(1)); recording.flush()
print(entry().dropped)
""",
        tmp_path,
    )
    assert result.stdout == "0\n"
    assert "Bad: its flush() raised: " in result.stderr
    assert "in close" not in result.stderr
    assert lines(tmp_path / "got.txt")[0] == {"/rows": [1]}


def test_from_a_spawned_worker(tmp_path):
    """A class of the program's own file works from a worker that imported it under another name; its own rows alone go there."""
    text = SINK.replace('rr.init("custom")', 'if __name__ == "__main__": rr.init("custom"); rr.save("log.rrd")')
    run(
        text
        + """
def own():
    rr.set_sinks(Lines("got.txt"))
    rr.log("rows", rr.Scalars(1))
    rr.get_global_data_recording().flush()
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=own)
    process.start(); process.join(); assert process.exitcode == 0
    rr.log("rows", rr.Scalars(2))
""",
        tmp_path,
    )
    assert lines(tmp_path / "got.txt")[0] == {"/rows": [1]}
    assert scalars(check(tmp_path / "log.rrd"), "/rows") == [2]


def test_disconnect_while_others_log(tmp_path):
    """The object is closed once, though rows come all the time; what it got is in the file beside it, and the next sink goes on."""
    run(
        SINK
        + """
rr.set_sinks(Lines("got.txt"), rr.FileSink("log.rrd"))
processes = workers(2, 1500, 0.006)
time.sleep(1)
from shmrerun.testing import load
began = time.monotonic()
rr.disconnect()
assert time.monotonic() - began < 8 * load(), time.monotonic() - began
rr.save("next.rrd")
for process in processes: process.join()
""",
        tmp_path,
    )
    got, calls = lines(tmp_path / "got.txt")
    first, second = check(tmp_path / "log.rrd"), check(tmp_path / "next.rrd")
    assert calls.count("close") == 1
    for entity in ("/rows/0", "/rows/1"):
        values = scalars(first, entity)
        assert got[entity] == values[: len(got[entity])]  # but for those that came while it was closed
        assert sorted(values + scalars(second, entity)) == list(range(1500))


@pytest.mark.parametrize("how", ["rr.disconnect(); wait(grown, 'rows of others'); rr.save('next.rrd')", "rr.save('next.rrd')"])
def test_alone_while_others_log(tmp_path, how):
    """Each row that others log while the only sink is being closed goes to the next one, whenever that comes."""
    result = run(
        SINK
        + f"""
rr.set_sinks(Lines("got.txt"))
processes = workers(2, 1000, 0.003)
time.sleep(0.5)
def grown(before=recording._stream.session.words.rows): return recording._stream.session.words.rows > before
{how}
for process in processes: process.join()
""",
        tmp_path,
    )
    assert result.stderr == ""
    (got, calls), rows = lines(tmp_path / "got.txt"), check(tmp_path / "next.rrd")
    assert calls.count("close") == 1
    for entity in ("/rows/0", "/rows/1"):
        assert got[entity] + scalars(rows, entity) == list(range(1000))


def test_who_joins_while_it_is_closed(tmp_path):
    """Rows of a process that comes at the last moment are brought to a new copy of the object, which is closed as well."""
    run(
        SINK.replace("time.sleep(0.3)", "open('closing', 'w').close(); time.sleep(3)", 1)
        + """
rr.set_sinks(Lines("got.txt"), rr.FileSink("log.rrd"))
rr.log("rows", rr.Scalars(1))
recording.flush()
if (pid := os.fork()) == 0:
    os.setsid()
    wait(lambda: os.path.exists("closing"), "its close")
    rr.log("rows", rr.Scalars(2))
    recording.flush()
    os._exit(0)
""",
        tmp_path,
    )
    wait_until(lambda: has_footer(tmp_path / "log.rrd"), 40, "the end")
    assert scalars(read_rows(tmp_path / "log.rrd"), "/rows") == [1, 2]
    got, calls = lines(tmp_path / "got.txt")
    assert (got, calls.count("close")) == ({"/rows": [1, 2]}, 2)


def test_ps_shows_it(tmp_path):
    """Its name, whether it takes rows, and how many it did not take; not where its object lies."""
    result = run(
        SINK
        + ONE_EACH
        + """
import subprocess
def fail(): raise LookupError("no such thing")
rr.set_sinks(rr.CustomSink(Lines("got.txt", 3, fail), name="mine"), rr.FileSink("log.rrd"))
log_each(6)
print(subprocess.run([sys.executable, "-m", "shmrerun", "ps"], capture_output=True, text=True).stdout)
""",
        tmp_path,
    )
    line = next(line for line in result.stdout.splitlines() if "custom mine" in line)
    assert "(active, " in line
    assert "1 rows dropped" in line
    assert "flush_timeout" not in result.stdout


def test_a_hanging_object_ends_with_the_worker(tmp_path):
    """A process whose object hangs while the live worker is killed ends by its own timer; then the rows go on."""
    result = run(
        SINK
        + """
def hang():
    if not os.path.exists("hung"):
        with open("hung", "w") as file: file.write(str(os.getpid()))
        time.sleep(1000)
rr.set_sinks(rr.CustomSink(Lines("got.txt", 3, hang), timeout_sec=4), rr.FileSink("log.rrd"))
for i in range(6): rr.log("rows", rr.Scalars(i))
wait(lambda: os.path.exists("hung") and read("hung"), "it hangs")
pid = int(read("hung"))
from shmrerun.shm.served import LIVE_BYTE
os.kill(recording._stream.session.tree.lock_holder(LIVE_BYTE), signal.SIGKILL)
wait(lambda: not os.path.exists(f"/proc/{pid}") or ") Z " in read(f"/proc/{pid}/stat"), "its end")
recording.flush()
""",
        tmp_path,
    )
    assert result.stderr == ""
    assert lines(tmp_path / "got.txt")[0] == {"/rows": list(range(6))}


KILLS = """
rr.set_sinks(rr.CustomSink(Lines("got.txt"), flush_timeout_sec=40), rr.FileSink("log.rrd"))
tree = recording._stream.session.tree
from shmrerun.shm.served import LIVE_BYTE
def child():
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline") as file: words = file.read()
            except OSError: continue
            if "custom_child" in words and tree.token in words: return int(name)
    return 0
processes = workers(2, 1500, 0.004)
for turn in range(3):
    size = os.path.getsize("got.txt") if turn else 0
    wait(lambda: os.path.exists("got.txt") and os.path.getsize("got.txt") > size and WHO > 0, "rows come")
    os.kill(WHO, signal.SIGKILL)
for process in processes: process.join()
recording.flush()
"""


@pytest.mark.parametrize("who", ["child()", "tree.lock_holder(LIVE_BYTE)", "tree.words.aggregator_pid"])
def test_kills_under_load(tmp_path, who):
    """Whichever of the processes is killed, all rows are there, and with each kill at most one batch is there twice."""
    run(SINK + KILLS.replace("WHO", who), tmp_path, deadline=90)
    got, _ = lines(tmp_path / "got.txt")
    for number in range(2):
        assert set(got[f"/rows/{number}"]) == set(range(1500))
    batches = [line for line in (tmp_path / "got.txt").read_text().splitlines() if line.startswith('["/')]
    assert len(batches) - len(set(batches)) <= 3  # the last one of each kill
    check(tmp_path / "log.rrd")
