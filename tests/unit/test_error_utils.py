"""The guard that libraries put around functions which log."""

from __future__ import annotations

import warnings

import pytest

from shmrerun.error_utils import RerunWarning, catch_and_log_exceptions, set_strict_mode


@catch_and_log_exceptions(exception_return_value="failed")
def fails(error, strict=None):
    raise error


def warnings_of(function):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = function()
    return result, [(item.category, str(item.message), item.filename) for item in found]


def test_a_function():
    result, found = warnings_of(lambda: fails(ValueError("x")))
    assert result == "failed"
    assert found == [(RerunWarning, "fails: ValueError(x)", __file__)]
    assert fails.__name__ == "fails"


@pytest.mark.parametrize(("context", "text"), [("step", "step: KeyError('a')"), (None, "KeyError('a')")])
def test_a_block(context, text):
    def block():
        with catch_and_log_exceptions(context):
            raise KeyError("a")

    assert [text for _, text, _ in warnings_of(block)[1]] == [text]


def test_strict():
    with pytest.raises(ValueError, match="x"):
        fails(ValueError("x"), strict=True)
    set_strict_mode(True)
    try:
        with pytest.raises(ValueError, match="x"):
            fails(ValueError("x"))
        assert warnings_of(lambda: fails(ValueError("x"), strict=False))[0] == "failed"
        with pytest.raises(ValueError, match="y"), catch_and_log_exceptions():
            raise ValueError("y")
        block = catch_and_log_exceptions("z", strict=False)
        assert len(warnings_of(lambda: block.__exit__(KeyError, KeyError("z"), None))[1]) == 1
    finally:
        set_strict_mode(False)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_failure_goes_through(error):
    with pytest.raises(error):
        fails(error())
