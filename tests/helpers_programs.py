"""What the programs of the tests share: workers that count the calls that returned, in a file that outlives them."""

from __future__ import annotations

import os
import signal

import shmrerun as rr


def own_tree():
    """Token of the tree of this program, whatever else runs on the machine; as its children find it."""
    return os.environ["SHMRERUN_PARENT"].partition(":")[0]


class Returned:
    """The number of calls that returned, in a small private file: what was written survives SIGKILL of the process."""

    def __init__(self, directory, number):
        self._fd = os.open(f"{directory}/returned-{number}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def store(self, count):
        os.pwrite(self._fd, count.to_bytes(8, "little"), 0)


def returned(directory):
    """What all workers counted: {number: calls that returned}."""
    found = {}
    for name in os.listdir(directory):
        if name.startswith("returned-"):
            with open(f"{directory}/{name}", "rb") as file:
                found[int(name[9:])] = int.from_bytes(file.read(8), "little")
    return found


def log_rows(number, rows, directory):
    """Log rows that describe themselves, counting those whose call returned."""
    count = Returned(directory, number)
    with open(f"{directory}/pid-{number}", "w") as file:
        file.write(str(os.getpid()))
    for sequence in range(rows):
        rr.set_time("step", sequence=sequence)
        rr.log("shared" if sequence % 2 else f"worker/{number}", rr.Scalars([number, sequence]))
        count.store(sequence + 1)


def end(how):
    """End this process in the named way."""
    if how == "exit":
        os._exit(3)
    elif how == "term":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)


def work(number, rows, directory, how):
    """One worker: log, then end at once."""
    log_rows(number, rows, directory)
    end(how)
