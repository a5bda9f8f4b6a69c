"""Entry point and loop of the live worker: finds the live sinks of all sessions of its tree, and runs a task for each.

It is started by the aggregator with the first such sink, and reads logs and sink tables by itself, so it goes on while an aggregator dies
and another one takes over. A worker that dies is started again; each sink resumes at what its entry says. It ends when there was nothing
to serve for a while, or with the tree.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING

from shmrerun.live.place import Place
from shmrerun.shm.locks import lock_byte
from shmrerun.shm.served import LIVE_BYTE
from shmrerun.shm.session import open_session, sinks
from shmrerun.shm.tree import Tree
from shmrerun.shm.words import SINK_CUSTOM, SINK_GRPC, SINK_SERVER, STATE_ENDED, SessionView

if TYPE_CHECKING:
    from shmrerun.live.place import LiveSink

LOOK_SECONDS = 1.0  # the bell tells of what is new; this is for what it cannot tell
LINGER_SECONDS = 5.0
_FAULT_BYTES = 64 * 1024


def _make(kind: int, place: Place) -> LiveSink:
    """What serves a kind of sink; imported only when there is one."""
    if kind == SINK_GRPC:
        from shmrerun.live.grpc_client import GrpcClient

        return GrpcClient(place)
    if kind == SINK_CUSTOM:
        from shmrerun.live.custom import Custom

        return Custom(place)
    assert kind == SINK_SERVER
    from shmrerun.live.grpc_server import GrpcServer

    return GrpcServer(place)


class Worker:
    """The live sinks of one tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._sessions: dict[int, SessionView] = {}
        self._tasks: dict[tuple[int, int], tuple[Place, asyncio.Task[None]]] = {}  # (session, number of the sink)
        self._rung = asyncio.Event()

    async def run(self) -> None:
        """Serve until there is nothing to serve."""
        self._open_bell()
        loop = asyncio.get_running_loop()
        idle_since = loop.time()
        while not self._has_ended():
            self._find()
            await self._drop()
            if self._tasks:
                idle_since = loop.time()
            elif loop.time() - idle_since > LINGER_SECONDS:
                break
            for place, _ in self._tasks.values():
                place.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._rung.wait(), LOOK_SECONDS)
            self._rung.clear()
        for _, task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in self._tasks.values()), return_exceptions=True)

    def _has_ended(self) -> bool:
        return self._tree.words.state == STATE_ENDED or not os.path.exists(f"{self._tree.directory}/lock")

    def _open_bell(self) -> None:
        path = f"{self._tree.directory}/live"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        bell = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

        def ring() -> None:
            with contextlib.suppress(BlockingIOError):
                os.read(bell, 65536)
            self._rung.set()

        asyncio.get_running_loop().add_reader(bell, ring)

    def _find(self) -> None:
        """Start what is new in the tables."""
        for _, serial, _ in self._tree.sessions():
            if serial not in self._sessions:
                try:
                    self._sessions[serial] = SessionView(open_session(self._tree.token, serial))
                except (OSError, RuntimeError):
                    continue
            session = self._sessions[serial]
            for sink in sinks(session):
                if sink.is_live and sink.is_active and (serial, sink.number) not in self._tasks:
                    place = Place(self._tree, serial, session, sink)
                    task = asyncio.create_task(self._serve(sink.kind, place))
                    self._tasks[serial, sink.number] = place, task

    async def _drop(self) -> None:
        """End what is over."""
        over = [(key, task) for key, (place, task) in self._tasks.items() if place.is_over]
        for key, task in over:
            del self._tasks[key]
            task.cancel()
        if over:
            await asyncio.wait([task for _, task in over], timeout=2)
        live = {serial for _, serial, _ in self._tree.sessions()}
        for serial in [serial for serial in self._sessions if serial not in live and not any(key[0] == serial for key in self._tasks)]:
            self._sessions.pop(serial).segment.close()

    async def _serve(self, kind: int, place: Place) -> None:
        """Run one sink; whatever it raises is told and tried again, and ends no other."""
        while not place.is_over:
            try:
                await _make(kind, place).run()
            except asyncio.CancelledError:
                raise
            except ImportError as error:
                place.fail(errno.EPROTO, f"the package {error.name} cannot be imported: {error}")
            except Exception as error:
                note_fault()
                place.fail(getattr(error, "errno", None) or errno.EIO, f"{type(error).__name__}: {error}")
            await place.news(1.0)


def note_fault() -> None:
    """Write the present exception's traceback to stderr, the tree's file of faults, within bounds."""
    with contextlib.suppress(OSError, ValueError):
        if os.fstat(2).st_size < _FAULT_BYTES:
            sys.stderr.write(traceback.format_exc()[-4096:])
            sys.stderr.flush()


def main() -> None:
    """Run the live worker of the tree named by the second word of the command line, ``shmrerun live <tree>``."""
    token = sys.argv[3] if sys.argv[1:3] == ["shmrerun", "live"] else sys.argv[-1]
    for name in ("SIGINT", "SIGQUIT", "SIGTSTP", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    os.environ |= {"GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0", "GLOG_minloglevel": "3"}
    try:
        tree = Tree.attach(token)
        if not lock_byte(tree.lock_fd(), LIVE_BYTE):
            return  # another one lives
    except (OSError, RuntimeError):
        return  # the tree has ended
    asyncio.run(Worker(tree).run())
    os._exit(0)  # no thread of a network library may keep it


__all__ = ["Worker", "main"]
