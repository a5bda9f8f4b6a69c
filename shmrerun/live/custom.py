"""Custom sinks: users' objects, each in a process of its own, to which the live worker says up to where the log can be read.

The process answers each message of the log when the object has taken it; only then it is stored as how far the sink got. So whatever dies,
the message that was not answered is brought again, once; what kills its process twice, or takes too long, is passed over and counted. After
five deaths in a row the object is given up, and the log goes by, counted. Promise: each batch once, unless a process dies; then the
last may come twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import math
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

from shmrerun.framing import ARROW_MSG, STREAM_HEADER_BYTES
from shmrerun.live import custom_child as protocol

if TYPE_CHECKING:
    from shmrerun.live.place import Place
    from shmrerun.shm.log_reader import TableLog

MOST_DEATHS = 5  # in a row; it may be killed by somebody now and then
START_SECONDS = 120.0  # a user's imports take no longer
GRACE_SECONDS = 3.0  # the process's own timer goes first, and says where it hangs
END_SECONDS = 1.0
AGAIN_ROUNDS = 20  # tenths of a second: a sink that has ended is taken from the table before that
_LAST_BYTES = 4096
_STUB = "import sys;path=sys.argv[1];sys.path[:]=sys.argv[2:];del sys.argv[1:];from shmrerun.live.custom_child import main;main(path)"
_OURS = ("GRPC_", "GLOG_")  # variables that the worker set for itself


class _DeadError(Exception):
    """The process has died, or was ended because it did not answer."""

    def __init__(self, why: str, *, is_late: bool = False) -> None:
        super().__init__(why)
        self.is_late = is_late


class _UnfitError(Exception):
    """The object cannot be made in its process."""


class _Answer(NamedTuple):
    what: bytes
    offset: int
    rows: int
    text: str


class _Process:
    """The process of a custom sink. One task."""

    def __init__(self, process: asyncio.subprocess.Process, seconds: float) -> None:
        self._process = process
        self._seconds = seconds
        self._last = b""
        self._listener = asyncio.create_task(self._listen())
        self.has_flush = False

    @classmethod
    async def start(cls, path: str, python: str, seconds: float) -> _Process:
        """Start it, and wait until it has the object. OSError, _UnfitError, _DeadError."""
        process = await asyncio.create_subprocess_exec(
            python, "-c", _STUB, path, *_paths_of(path),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
        )  # fmt: skip
        found = cls(process, seconds)
        try:
            answer = await found.answer(START_SECONDS)
            if answer.what == protocol.UNFIT:
                raise _UnfitError(answer.text)
        except BaseException:
            await found.end()
            raise
        found.has_flush = bool(answer.rows & protocol.HAS_FLUSH)
        return found

    async def _listen(self) -> None:
        """Keep the last of what it says."""
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(1 << 16):
            self._last = (self._last + data)[-_LAST_BYTES:]

    async def tell(self, what: bytes, log: TableLog | None = None, start: int = 0, end: int = 0) -> None:
        """Ask for something. _DeadError."""
        assert self._process.stdin is not None
        path = os.fsencode(log.path) if log is not None else b""
        try:
            self._process.stdin.write(protocol.COMMAND.pack(what, start, end, log is not None and log.may_trim, len(path)) + path)
            await self._process.stdin.drain()
        except ConnectionError:
            raise await self._death() from None

    def go(self) -> None:
        """It may bring the next batch: the last one is stored as taken."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(b"g")

    async def answer(self, seconds: float | None = None) -> _Answer:
        """The next answer. _DeadError: there will be none."""
        assert self._process.stdout is not None
        wait = self._seconds + GRACE_SECONDS if seconds is None else seconds
        try:
            async with asyncio.timeout(wait if math.isfinite(wait) else None):
                what, offset, rows, size = protocol.ANSWER.unpack(await self._process.stdout.readexactly(protocol.ANSWER.size))
                return _Answer(what, offset, rows, (await self._process.stdout.readexactly(size)).decode("utf-8", "replace"))
        except TimeoutError:
            self.kill()
            await self._death()
            raise _DeadError(f"it did not answer for {wait:g} s and was ended", is_late=True) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise await self._death() from None

    async def _death(self) -> _DeadError:
        """How it died, in words."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), END_SECONDS)
        if self._process.returncode is None:
            self.kill()
            await self._process.wait()
        with contextlib.suppress(TimeoutError):  # what it started may still hold the pipe
            await asyncio.wait_for(asyncio.shield(self._listener), 0.2)
        last = self._last.decode("utf-8", "replace").strip()[-1000:]
        if last.startswith("Timeout (") or "\nTimeout (" in last:
            return _DeadError(f"a call took longer than {self._seconds:g} s and was ended\n{last}", is_late=True)
        code = self._process.returncode or 0
        try:
            how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        except ValueError:
            how = f"ended by signal {-code}"
        return _DeadError(f"{how}\n{last}".strip())

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Let it end by itself: its input ends. What hangs is ended by its own timer, or here if it has none."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), END_SECONDS)
        except TimeoutError:
            if not math.isfinite(self._seconds):
                self.kill()
        self._listener.cancel()


def _paths_of(path: str) -> list[str]:
    """Where the process looks for modules: where the program does, and last where this package is."""
    with open(path, "rb") as file:
        paths: list[str] = json.loads(file.readline())["sys_path"]
    return [*paths, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))]


class Custom:
    """One user's object."""

    def __init__(self, place: Place) -> None:
        self._place = place
        options = place.options
        self._path = f"{place.tree.directory}/{os.path.basename(options['file'])}"
        self._python: str = options["python"]
        seconds = options["timeout"]
        self._seconds = math.inf if seconds is None else float(seconds)
        self._process: _Process | None = None
        self._deaths = 0  # in a row
        self._died_at = -1  # offset of the message that it died of
        self._is_reading = False  # it may have died of a message
        self._has_told = False
        self._log_number = -1

    async def run(self) -> None:
        """Bring the object what the log has, until the sink is over."""
        place = self._place
        try:
            while not place.is_over:
                try:
                    await self._follow()
                except _UnfitError as error:
                    if not place.was_ready:
                        place.fail(errno.EPROTO, f"it cannot be made in a process of its own: {error}")
                        await _until_over(place)
                        return
                    await self._died(_DeadError(f"it cannot be made again: {error}"))
                except _DeadError as error:
                    if not place.was_ready and self._deaths + 1 >= MOST_DEATHS:
                        place.fail(errno.EPROTO, f"its process dies while the object is made: {error}")
                        await _until_over(place)
                        return
                    await self._died(error)
                except OSError as error:  # the log's file, while it is being changed
                    if self._process is None and not place.was_ready:
                        place.fail(errno.EPROTO, f"its process cannot be started: {error}")
                    await place.news(0.2)
                if self._deaths >= MOST_DEATHS:
                    await self._go_by()
                    return
        finally:
            await self._leave()

    async def _leave(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.end()

    # ---- while it works

    async def _follow(self) -> None:
        """Bring what comes. Returns when the log is another one."""
        place = self._place
        if self._process is None:
            self._process = await _Process.start(self._path, self._python, self._seconds)
            place.tell(value=1)
        while not place.is_over:
            log = place.log()
            if log is None or log.number != self._log_number:
                self._log_number = log.number if log is not None else -1
                self._died_at = -1
                if log is None:
                    await place.news(0.1)
                    return
            until = 0 if place.is_finished else place.until
            end = min(log.size, until or log.size)
            if place.size < end:
                await self._bring(self._process, log, place.size, end)
            elif 0 < until <= place.size:
                await self._close(until)
                await _until_more(place, log, until)
                return
            else:
                await place.news(1.0)

    async def _bring(self, process: _Process, log: TableLog, start: int, end: int) -> None:
        """Have the process read a part of the log; the last message counts when the object was flushed behind it."""
        place, held = self._place, False
        if end <= STREAM_HEADER_BYTES:
            place.tell(size=end)
            return
        self._is_reading = True
        await process.tell(protocol.READ, log, max(start, STREAM_HEADER_BYTES), end)
        while (answer := await process.answer()).what != protocol.END:
            if answer.what == protocol.UNREADABLE:
                raise OSError(errno.ESTALE, answer.text)
            if answer.what == protocol.RAISED:
                self._tell_once(f"its write() raised, and that batch is passed over; others of that kind are counted only. {answer.text}")
                place.tell(dropped=answer.rows)
            self._deaths = 0
            held = answer.offset >= end
            if not held:
                place.tell(size=answer.offset)
            process.go()
        self._deaths = 0
        self._is_reading = False
        if process.has_flush and end in (log.size, place.until):
            try:
                await self._ask(process, protocol.FLUSH, "flush")
            except _DeadError:
                place.tell(size=end)  # the rows were taken
                raise
        place.tell(size=end)

    async def _ask(self, process: _Process, what: bytes, call: str) -> None:
        await process.tell(what)
        if text := (await process.answer()).text:
            self._tell_once(f"its {call}() raised: {text}")

    async def _close(self, until: int) -> None:
        """The log's end, so far: close the object and let its process end."""
        process = self._process
        if process is not None:
            try:
                await self._ask(process, protocol.CLOSE, "close")
            except _DeadError as error:
                self._tell_once(f"its process died in close(): {error}")
            await self._leave()
        self._place.tell(done=until)

    def _tell_once(self, text: str) -> None:
        if not self._has_told:
            self._has_told = True
            self._place.fail(errno.EIO, text)

    # ---- when it does not

    async def _died(self, error: _DeadError) -> None:
        """The process is dead: whether the message that it had is to be brought again, and whether it is to be started again."""
        place, self._process = self._place, None
        was_reading, self._is_reading = self._is_reading, False
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            place.fail(errno.EPROTO, f"given up after its process died {MOST_DEATHS} times in a row; rows for it are counted only. {error}")
            return
        self._tell_once(f"its process died and is started again: {error}")
        if was_reading and (self._died_at == place.size or error.is_late):
            await self._pass_over(most=1)
        elif was_reading:
            self._died_at = place.size

    async def _pass_over(self, most: float = math.inf) -> None:
        """Count what is there as dropped instead of bringing it, so many chunks."""
        place = self._place
        try:
            reader = place.reader(place.size)
        except OSError:
            return
        try:
            done = 0
            for message in reader.messages():
                rows = await asyncio.to_thread(_rows, message.payload) if message.kind == ARROW_MSG else 0
                place.tell(size=message.end, dropped=rows)
                done += rows > 0
                if done >= most:
                    return
            place.tell(size=max(place.size, reader.read_until))
        except OSError:
            return
        finally:
            reader.close()

    async def _go_by(self) -> None:
        """Given up: nothing waits for it."""
        place = self._place
        while not place.is_over:
            log = place.log()
            if 0 < (until := place.until) <= place.size and not place.is_finished:
                place.tell(done=until)
            elif log is not None and place.size < log.size:
                await self._pass_over()
            else:
                await place.news(1.0)


def _rows(payload: memoryview) -> int:
    """Rows of a chunk of a recording."""
    try:
        batch = protocol.batch_of(payload)
    except ValueError:
        return 0
    return batch.record_batch.num_rows if batch is not None else 0


async def _until_over(place: Place) -> None:
    while not place.is_over:
        await place.news(1.0)


async def _until_more(place: Place, log: TableLog, closed_at: int) -> None:
    """Wait behind an end until the sink is over, or goes on in spite of it: somebody joined in the last moment, or the aggregator died."""
    rounds = 0
    while not place.is_over and place.log() is log:
        if 0 < place.until <= closed_at and not place.is_finished:
            place.tell(done=place.until)
        elif log.size > closed_at:
            rounds += 1
            if rounds > AGAIN_ROUNDS:
                return
            await asyncio.sleep(0.1)
            continue
        await place.news(1.0)


__all__ = ["Custom"]
