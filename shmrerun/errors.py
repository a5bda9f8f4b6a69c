"""Exceptions, warnings and strict mode.

::

    RuntimeError
    └── ShmrerunError            anything that went wrong inside shmrerun
        ├── SegmentError         a shared-memory segment cannot be made, attached or trusted
        │   ├── LayoutVersionError   it was made by a version with another memory layout
        │   └── OwnerError           it belongs to another user, process or session
        ├── AggregatorError      the aggregator process cannot be started or reached
        ├── SinkError            a sink (file, server, pipe) refused or failed
        │   └── RowsLostError        rows that were logged cannot be written: their memory was damaged or removed
        └── FlushTimeoutError    a flush did not finish in the time given

    Warning
    └── RerunWarning             a logging call failed and strict mode is off

Logging never stops the user's program unless *strict mode* is on: an error inside a guarded call then propagates, else
it becomes a :class:`RerunWarning` at the caller's line. Strict mode is a flag of the process (:func:`set_strict_mode`,
environment variable ``RERUN_STRICT``) that a guard can override for the calling thread and the length of one call.

Two ways to guard, alike in what they do:

* ``except Exception as error: errors.report("log", error, strict)`` in hot paths, free when nothing fails;
* ``with guard("log", strict):`` or ``@guard("log")``, which also hold back the warnings of guards inside until the
  outermost one exits.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import warnings
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any, Self, TypeVar

    _Function = TypeVar("_Function", bound=Callable[..., Any])


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


class FlushTimeoutError(ShmrerunError):
    """A flush did not finish in the time given."""


class RerunWarning(Warning):
    """A logging call failed and strict mode is off."""


#: Called with the text of each warning and its stack lines, before it is emitted; ``__warnings`` logging sets it.
on_warning: Callable[[str], None] | None = None


class _Thread(threading.local):
    """What a thread knows: its override of strict mode, how deep in guards it is, and the warnings held back."""

    strict: bool | None = None
    depth: int = 0
    hooked: bool = False  # inside on_warning
    queue: list[_Queued]
    saved: list[bool | None]  # overrides to go back to, one for each guard entered

    def __init__(self) -> None:
        self.queue = []
        self.saved = []


class _Queued(NamedTuple):
    text: str
    category: type[Warning]


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
    """Print ``text`` as :func:`say` does, but once a process for each hashable ``key``. At most 4,096 keys are kept."""
    if key not in _said:
        if len(_said) >= 4096:
            _said.clear()
        _said.add(key)
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
    """Tell whether errors of logging calls propagate in the calling thread (its override, else the process's flag)."""
    override = _thread.strict
    return _strict if override is None else override


def set_strict_mode(mode: bool) -> None:
    """Set the process's flag: True lets errors of logging calls propagate, False turns them into warnings."""
    global _strict
    _strict = bool(mode)


def report(context: str, error: BaseException, strict: bool | None = None) -> None:
    """Deal with an error that a guarded call caught: raise it again if strict, else warn ``context: Type(message)``.

    Parameters
    ----------
    context : str
        Name of the function or class that failed, such as ``"log"`` or ``"ScalarBatch"``.
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
    _issue(f"{context}: {type(error).__name__}({error})", RerunWarning)


def warn(message: str, error: type[Exception] = ValueError, strict: bool | None = None) -> None:
    """Complain about an input that can still be used: ``error(message)`` if strict, else a :class:`RerunWarning`."""
    if strict_mode() if strict is None else strict:
        raise error(message)
    _issue(message, RerunWarning)


def _issue(text: str, category: type[Warning]) -> None:
    """Hand a warning to the hook, then emit it or, inside a guard, hold it back."""
    thread = _thread
    if thread.hooked:  # the hook's own trouble is told, never logged or raised
        say_once(("on_warning", text), text)
        return
    hook = on_warning
    if hook is not None:
        thread.hooked = True
        saved = thread.strict
        thread.strict = False
        try:
            hook(f"{text}\n{_stack_lines()}")
        except Exception as error:
            say_once("on_warning", f"a warning could not be logged: {type(error).__name__}: {error}")
        finally:
            thread.strict = saved
            thread.hooked = False
    if thread.depth:
        thread.queue.append(_Queued(text, category))
    else:
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


def _flush_queue() -> None:
    """Emit what was held back; if the warnings filter raises, the rest is tried, then the first error propagates."""
    queue, _thread.queue = _thread.queue, []
    failure: Warning | None = None
    for item in queue:
        try:
            _emit(item.text, item.category)
        except Warning as raised:
            failure = failure or raised
    if failure is not None:
        raise failure


class guard:  # noqa: N801  used like a function, as contextlib's managers are
    """Catch the errors of a block or function and turn them into warnings, unless strict.

    Parameters
    ----------
    context : str
        What the warning's text begins with; the name of the function or class.
    strict : bool, optional
        Override of strict mode for the calling thread while the guard is entered, guards inside included. As a
        decorator, a ``strict=`` keyword argument of the call wins over it (the function gets it too).

    Notes
    -----
    A guarded function that fails returns None. Warnings raised inside nested guards are emitted when the outermost one
    exits, at the caller's line. One guard object may be entered again while it is entered, and by several threads.
    ``KeyboardInterrupt`` and ``SystemExit`` always propagate.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     with guard("example"):
    ...         raise ValueError("no such thing")
    >>> str(caught[0].message)
    'example: ValueError(no such thing)'
    """

    __slots__ = ("context", "strict")

    def __init__(self, context: str, strict: bool | None = None) -> None:
        self.context = context
        self.strict = strict

    def __enter__(self) -> Self:
        self._enter(self.strict)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        return self._exit(error)

    @staticmethod
    def _enter(strict: bool | None) -> None:
        thread = _thread
        thread.saved.append(thread.strict)
        if strict is not None:
            thread.strict = strict
        thread.depth += 1

    def _exit(self, error: BaseException | None) -> bool:
        """Undo :meth:`_enter`, deal with ``error``, and tell whether it is dealt with."""
        thread = _thread
        strict = strict_mode()
        thread.strict = thread.saved.pop()
        swallow = isinstance(error, Exception) and not strict
        try:
            if swallow:
                _issue(f"{self.context}: {type(error).__name__}({error})", RerunWarning)
        finally:
            thread.depth -= 1
        if not thread.depth and thread.queue:
            if error is not None and not swallow:  # the error matters more than a warning that a filter made one
                with contextlib.suppress(Warning):
                    _flush_queue()
            else:
                _flush_queue()
        return swallow

    def __call__(self, function: _Function) -> _Function:
        """Make ``function`` guarded; each call enters and exits the guard."""

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            strict = kwargs.get("strict")
            self._enter(self.strict if strict is None else strict)
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                if not self._exit(error):
                    raise
                return None
            self._exit(None)
            return result

        return guarded  # type: ignore[return-value]
