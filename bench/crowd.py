"""Processes that log at the same time by one peer, and the time until all of it is durable.

Workers are spawned, import what they need, open their end and log a row each before the clock starts, whichever the peer: neither
starting nor importing is in a figure. The clock stops when the files are complete and on the device; workers end after that.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, NamedTuple

import peers

if TYPE_CHECKING:
    from collections.abc import Callable

    from peers.base import Log

    Loop = Callable[[Log, int, int], tuple[int, Any]]  # (log, number of the worker, rows) -> rows that it logged, what it has to say


class Outcome(NamedTuple):
    """What came of it; times in seconds."""

    rows: int  # that were logged, with one of each worker before the clock started
    dropped: int  # of these, not in the files
    secs: float  # until durable
    logged_secs: float  # until the last call of the last worker has returned
    file_bytes: int
    said: list[Any]  # what the loops returned
    facts: dict[str, Any]  # what the peer knows
    files: list[str]


def back_to_back(log: Log, number: int, rows: int) -> tuple[int, Any]:
    """Log rows as fast as it goes: the loop of every bench of throughput."""
    path = f"bench/{number}"
    for step in range(1, rows + 1):
        log(path, step)
    return rows, None


def run(name: str, case: str, processes: int, rows: int, directory: str, loop: Loop = back_to_back) -> Outcome:
    """Start the workers of a peer, let them loop together, and count what is in the files.

    Parameters
    ----------
    name
        Of the peer.
    case
        Kind of value, of ``values.CASES``.
    processes, rows
        Number of workers, and of rows that each is told to log.
    directory
        Where the files go.
    loop
        What each worker does between the two looks at the clock; a function of a module, for it is sent to them.

    """
    context = multiprocessing.get_context("spawn")
    peer = peers.peer(name)(directory, case, processes)
    link = peer.start(context)
    try:
        answers, began, ended = _together(context, peer, (name, case, link, loop, rows))
    finally:
        peer.close()
    logged = sum(count for count, _, _ in answers) + processes
    found = peer.rows()
    return Outcome(
        rows=logged,
        dropped=0 if found < 0 else logged - found,
        secs=ended - began,
        logged_secs=max(at for _, _, at in answers) - began,
        file_bytes=sum(map(os.path.getsize, peer.files())),
        said=[said for _, said, _ in answers],
        facts=peer.facts(),
        files=peer.files(),
    )


def _together(context: Any, peer: Any, told: tuple[Any, ...]) -> tuple[list[Any], float, float]:
    """Let the workers of a peer log; returns what they answer, and when the clock started and stopped."""
    workers = []
    for number in range(peer.processes):
        pipe, far = context.Pipe()
        worker = context.Process(target=_work, args=(number, far, *told), daemon=True)
        worker.start()
        far.close()
        workers.append((worker, pipe))
    for worker, pipe in workers:
        _receive(worker, pipe)
    peer.begin()
    began = time.perf_counter()  # CLOCK_MONOTONIC, the same in all processes
    for _, pipe in workers:
        pipe.send("go")
    answers = [_receive(worker, pipe) for worker, pipe in workers]
    peer.complete()
    ended = time.perf_counter()
    for worker, pipe in workers:
        pipe.send("end")
        worker.join()
    return answers, began, ended


def _work(number: int, pipe: Any, name: str, case: str, link: Any, loop: Loop, rows: int) -> None:
    log, finish = peers.peer(name).open(link, case, number)
    log(f"bench/{number}", 0)
    pipe.send("ready")
    pipe.recv()  # EOFError if whoever started it is gone
    count, said = loop(log, number, rows)
    logged = time.perf_counter()
    finish()
    pipe.send((count, said, logged))
    pipe.recv()


def _receive(worker: Any, pipe: Any) -> Any:
    wait([pipe, worker.sentinel])
    try:
        return pipe.recv()
    except EOFError:
        worker.join()
        raise RuntimeError(f"a worker ended early, exit status {worker.exitcode}") from None
