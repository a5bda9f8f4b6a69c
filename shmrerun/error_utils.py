"""Rerun's name for what programs and libraries need of :mod:`shmrerun.errors`: its warnings, strict mode, and a guard of their own."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, cast

from shmrerun.errors import RerunWarning, report, set_strict_mode, strict_mode

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    _F = TypeVar("_F", bound=Callable[..., Any])

__all__ = ["RerunWarning", "catch_and_log_exceptions", "set_strict_mode", "strict_mode"]


class catch_and_log_exceptions:  # noqa: N801  the name is Rerun's
    """A guard for functions that log: an ``Exception`` in them becomes a :class:`RerunWarning`, unless strict mode is on.

    ``with catch_and_log_exceptions("my step"): ...`` or ``@catch_and_log_exceptions()``. The warning is logged to ``__warnings`` too,
    as those of the library are. KeyboardInterrupt and SystemExit go through. Usable in any thread, nested, and again and again.

    Parameters
    ----------
    context
        Begins the text of the warning: ``context: Type(message)``. A decorated function's own name by default.
    depth_to_user_code
        Not needed: a warning names the nearest line outside this package. Taken as Rerun takes it.
    exception_return_value
        What a decorated function returns when it failed.
    strict
        Wins over :func:`strict_mode`; a ``strict`` argument of the decorated function wins over both. None: no opinion.
    """

    def __init__(
        self, context: str | None = None, *, depth_to_user_code: int = 1, exception_return_value: Any = None, strict: bool | None = None
    ) -> None:
        del depth_to_user_code
        self.context = context
        self.exception_return_value = exception_return_value
        self.strict = strict

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> bool:
        if not isinstance(error, Exception) or (strict_mode() if self.strict is None else self.strict):
            return False
        report(self.context, error, strict=False)
        return True

    def __call__(self, function: _F) -> _F:
        """Guard each call of a function."""
        context = function.__qualname__ if self.context is None else self.context

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            strict = kwargs.get("strict")
            with catch_and_log_exceptions(context, strict=self.strict if strict is None else strict):
                return function(*args, **kwargs)
            return self.exception_return_value

        return cast("_F", guarded)
