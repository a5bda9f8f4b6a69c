"""Exceptions, warnings and strict mode.

::

    RuntimeError
    └── ShmrerunError            anything that went wrong inside shmrerun
        ├── SegmentError         a shared-memory segment cannot be made, attached or trusted
        │   ├── LayoutVersionError   it was made by a version with another memory layout
        │   └── OwnerError           it belongs to another user, process or session
        ├── AggregatorError      the aggregator process cannot be started or reached
        ├── SinkError            a sink (file, server, pipe) refused or failed
        │   ├── RowsLostError        rows that were logged cannot be written: their memory was damaged or removed
        │   └── UndeliveredError     a viewer or another sink that is no file did not take what it was to get in time
        └── FlushTimeoutError    a flush did not finish in the time given

    Warning
    └── RerunWarning             a logging call failed and strict mode is off

Logging never stops the user's program unless *strict mode* is on: ``except Exception as error: report("log", error,
strict)`` then lets the error propagate, else makes it a :class:`RerunWarning` at the caller's line. Strict mode is a flag
of the process (:func:`set_strict_mode`, environment variable ``RERUN_STRICT``); a call's own ``strict`` wins over it.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class ShmrerunError(RuntimeError):
    """Anything that went wrong inside shmrerun; base of the other exceptions here."""


class SegmentError(ShmrerunError):
    """A shared-memory segment cannot be made, attached or trusted."""


class LayoutVersionError(SegmentError):
    """A segment was made by a version of shmrerun with another memory layout."""


class OwnerError(SegmentError):
    """A segment belongs to another user, process or session."""


class AggregatorError(ShmrerunError):
    """The aggregator process cannot be started or reached."""


class SinkError(ShmrerunError):
    """A sink (file, server, pipe) refused or failed."""


class RowsLostError(SinkError):
    """Rows that were logged cannot be written: their shared memory was damaged or removed by somebody. They are counted."""


class UndeliveredError(SinkError):
    """A viewer, or another sink that is no file, did not take what it was to get in time. The rows are kept for it."""


class FlushTimeoutError(ShmrerunError):
    """A flush did not finish in the time given."""


class RerunWarning(Warning):
    """A logging call failed and strict mode is off."""


#: Called with the text of each warning and its stack lines, before it is emitted; ``__warnings`` logging sets it.
on_warning: Callable[[str], None] | None = None


#: Whether this process is the first one of its program to say what a key stands for; a process that is part of a tree sets it.
is_first_to_say: Callable[[str], bool] | None = None


class _Thread(threading.local):
    """What a thread knows: whether it is inside ``on_warning``, where strict mode is off."""

    hooked: bool = False


_thread = _Thread()
_said: set[object] = set()
_PACKAGE = __name__.partition(".")[0]
_TRUE = frozenset(("1", "true", "on", "yes"))
_FALSE = frozenset(("0", "false", "off", "no"))


def say(text: str) -> None:
    """Print ``shmrerun: text`` as one line on stderr. Never raises, also when stderr is closed or missing."""
    try:
        line = " ".join(str(text).splitlines())
        sys.stderr.write(f"shmrerun: {line}\n")
        sys.stderr.flush()
    except Exception:
        pass


def say_once(key: object, text: str) -> None:
    """Print ``text`` as :func:`say` does, but once for each hashable ``key``: once in all processes of a tree, else once a process.

    Keys of one meaning must have one ``repr``. At most 4,096 are kept. Never raises.
    """
    if key in _said:
        return
    if len(_said) >= 4096:
        _said.clear()
    _said.add(key)
    try:
        is_first = is_first_to_say is None or is_first_to_say(repr(key))
    except Exception:
        is_first = True
    if is_first:
        say(text)


def _read_environment() -> bool:
    """Strict mode as ``RERUN_STRICT`` has it: False when unset; unknown texts are told and ignored."""
    text = os.environ.get("RERUN_STRICT")
    if text is None:
        return False
    word = text.strip().lower()
    if word not in _TRUE and word not in _FALSE:
        say(f"RERUN_STRICT is {text!r}; expected one of 1, true, on, yes, 0, false, off, no. Ignored.")
    return word in _TRUE


_strict = _read_environment()


def strict_mode() -> bool:
    """Tell whether errors of logging calls propagate."""
    return _strict and not _thread.hooked


def set_strict_mode(mode: bool) -> None:
    """Set the process's flag: True lets errors of logging calls propagate, False turns them into warnings."""
    global _strict
    _strict = bool(mode)


def report(context: str | None, error: BaseException, strict: bool | None = None) -> None:
    """Deal with an error that a guarded call caught: raise it again if strict, else warn ``context: Type(message)``.

    Parameters
    ----------
    context : str, optional
        Name of the function or class that failed, such as ``"log"`` or ``"ScalarBatch"``; None: the text begins with the type.
    error : BaseException
        The exception that was caught.
    strict : bool, optional
        Wins over :func:`strict_mode`.

    Raises
    ------
    BaseException
        ``error`` itself, if strict.
    """
    if strict_mode() if strict is None else strict:
        raise error
    _issue(f"{'' if context is None else f'{context}: '}{type(error).__name__}({error})", RerunWarning)


def warn(message: str, error: type[Exception] = ValueError, strict: bool | None = None) -> None:
    """Complain about an input that can still be used: ``error(message)`` if strict, else a :class:`RerunWarning`."""
    if strict_mode() if strict is None else strict:
        raise error(message)
    _issue(message, RerunWarning)


def _issue(text: str, category: type[Warning]) -> None:
    """Hand a warning to the hook, then emit it."""
    thread = _thread
    if thread.hooked:  # the hook's own trouble is told, never logged or raised
        say_once(("on_warning", text), text)
        return
    hook = on_warning
    if hook is not None:
        thread.hooked = True
        try:
            hook(f"{text}\n{_stack_lines()}")
        except Exception as error:
            say_once("on_warning", f"a warning could not be logged: {type(error).__name__}: {error}")
        finally:
            thread.hooked = False
    _emit(text, category)


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return isinstance(name, str) and (name == _PACKAGE or name.startswith(_PACKAGE + "."))


def _emit(text: str, category: type[Warning]) -> None:
    """Emit a warning at the nearest line outside this package."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
        level += 1
    warnings.warn(text, category, stacklevel=level)


def _stack_lines() -> str:
    """One ``File "...", line N, in f`` line for each frame outside this package, the innermost first."""
    lines = []
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if not _is_ours(frame):
            code = frame.f_code
            lines.append(f'File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}')
        frame = frame.f_back
    return "\n".join(lines)
