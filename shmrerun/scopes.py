"""Decorators that bind a recording to the run of a function or generator. Source: rerun-sdk 0.41's behaviour."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from shmrerun import recording_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


def thread_local_stream(application_id: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a decorator: each call of the function, or each generator, logs into a recording of its own.

    The recording has a random id and is active inside the body only: a generator's caller never sees it.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                recording = recording_stream.RecordingStream(application_id, recording_id=uuid4())
                return (yield from _step_by_step(function(*args, **kwargs), recording))

            return generator

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with recording_stream.RecordingStream(application_id, recording_id=uuid4()):
                return function(*args, **kwargs)

        return call

    return decorate


def _step_by_step(body: Generator[Any, Any, Any], recording: recording_stream.RecordingStream) -> Generator[Any, Any, Any]:
    """Run a generator with the recording active only while its body runs; what is sent or thrown in is passed on."""
    sent: Any = None
    error: BaseException | None = None
    while True:
        before = recording_stream.set_thread_local_data_recording(recording)
        try:
            value = body.send(sent) if error is None else body.throw(error)
        except StopIteration as stop:
            return stop.value
        finally:
            recording_stream.set_thread_local_data_recording(before)
        sent, error = None, None
        try:
            sent = yield value
        except GeneratorExit:
            body.close()
            raise
        except BaseException as thrown:
            error = thrown


def recording_stream_generator_ctx(func: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a generator function that holds ``with rec:`` across ``yield``: the caller does not see that context.

    Before each yield the recording that the body made active is put aside, and on resumption it is active again.

    Raises
    ------
    ValueError
        Not a generator function.
    """
    if not inspect.isgeneratorfunction(func):
        raise ValueError("recording_stream_generator_ctx can only be used on generator functions")

    @functools.wraps(func)
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        body = func(*args, **kwargs)
        inside = outside = recording_stream.get_thread_local_data_recording()
        sent: Any = None
        error: BaseException | None = None
        while True:
            outside = recording_stream.set_thread_local_data_recording(inside)
            try:
                value = body.send(sent) if error is None else body.throw(error)
            except StopIteration as stop:
                return stop.value
            finally:
                inside = recording_stream.set_thread_local_data_recording(outside)
            sent, error = None, None
            try:
                sent = yield value
            except GeneratorExit:
                recording_stream.set_thread_local_data_recording(inside)
                try:
                    body.close()
                finally:
                    recording_stream.set_thread_local_data_recording(outside)
                raise
            except BaseException as thrown:
                error = thrown

    return generator
