"""A small process between a program and one that it starts: nobody's child, and the parent of what it keeps.

Run by path (``python -I -S keeper.py LIFELINE REPORT OUTPUT GROUP PROGRAM ARGUMENTS...``), it imports nothing but the standard
library. The three numbers are descriptors: the read end of a pipe whose write end the starting program and its forked children hold,
the write end of a pipe that the end of PROGRAM is told on, and what PROGRAM gets as standard output and error. GROUP is ``own`` (a
session of its own: no Ctrl-C of the terminal reaches it) or ``same``.

Nobody waits for PROGRAM but this process, so it leaves no zombie and the user's ``os.wait()`` never sees it. It is ended

* when the lifeline ends, which is when the last process of the starting program is gone, killed or not;
* at the byte ``e`` on the lifeline, or a SIGTERM to this process. At ``l`` it is left alone, and this process ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

_END_SECONDS = 2.0  # between SIGTERM and SIGKILL


def _start(command: list[str], output: int, *, own_group: bool) -> int:
    """Fork and run the program; returns its pid. What cannot be run says so in its output and ends with status 127."""
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if own_group:
            os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execv(command[0], command)  # noqa: S606 - as the caller gave it
    except BaseException as error:
        os.write(output, f"cannot run {command[0]}: {error}\n".encode())
    os._exit(127)


def _family(pid: int) -> list[int]:
    """A process and its descendants: programs of one name are often a script around the real one."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError), open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
            found += [int(child) for child in file.read().split()]
    return found


def _end(pid: int) -> int:
    """End a child of ours with all that it started; returns its wait status."""
    family = _family(pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for member in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, number)
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline or number == signal.SIGKILL:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                for member in family[1:]:  # each had its SIGTERM; what is left of a dead script is not asked twice
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(member, signal.SIGKILL)
                return status
            time.sleep(0.005)
    raise AssertionError


def main(arguments: list[str]) -> None:
    """Start the program, tell its pid, and wait for its end or for the lifeline's."""
    lifeline, report, output = (int(number) for number in arguments[:3])
    own_group, command = arguments[3] == "own", arguments[4:]
    if os.fork():
        os._exit(0)  # the caller waits for this one alone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller's end is what ends us
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for descriptor in (lifeline, report, output):
        os.set_inheritable(descriptor, False)
    bell, ring = os.pipe()
    os.set_blocking(ring, False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # only so that its number is written to the pipe
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    pid = _start(command, output, own_group=own_group)
    os.close(output)
    os.write(report, b"%d\n" % pid)
    os.chdir("/")
    while True:
        ready, _, _ = select.select([lifeline, bell], [], [])
        asked = signal.SIGTERM in os.read(bell, 4096) if bell in ready else False
        done, status = os.waitpid(pid, os.WNOHANG)
        if not done and (lifeline in ready or asked):
            if lifeline in ready and os.read(lifeline, 1) == b"l":
                os._exit(0)
            done, status = pid, _end(pid)
        if done:
            with contextlib.suppress(OSError):  # nobody listens any more
                os.write(report, b"%d\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
