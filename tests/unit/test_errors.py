"""Exceptions, warnings and strict mode."""

from __future__ import annotations

import io
import subprocess
import sys
import threading

import pytest

from shmrerun import errors
from shmrerun.errors import RerunWarning


@pytest.fixture(autouse=True)
def lenient():
    """Start each test with strict mode off and no hook, and leave it so."""
    errors.set_strict_mode(False)
    errors.on_warning = None
    yield
    errors.set_strict_mode(False)
    errors.on_warning = None
    assert not errors._thread.hooked


def here():
    """Line number of the caller."""
    return sys._getframe(1).f_lineno


def test_tree():
    """Each exception stands where the module's drawing has it."""
    assert issubclass(errors.ShmrerunError, RuntimeError)
    for kind in (errors.SegmentError, errors.AggregatorError, errors.SinkError, errors.FlushTimeoutError):
        assert kind.__base__ is errors.ShmrerunError
    assert errors.LayoutVersionError.__base__ is errors.OwnerError.__base__ is errors.SegmentError
    assert RerunWarning.__base__ is Warning


def test_report_warns_at_the_callers_line():
    """A reported error is a RerunWarning with context, type and message, at the line outside the package."""
    with pytest.warns(RerunWarning) as caught:
        errors.report("log", KeyError("x"))
    line = here() - 1
    assert str(caught[0].message) == "log: KeyError('x')"
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


def test_report_raises_when_strict():
    """In strict mode the original exception propagates; the argument wins over the flag."""
    error = ValueError("x")
    with pytest.raises(ValueError, match="x") as caught:
        errors.report("log", error, strict=True)
    assert caught.value is error
    errors.set_strict_mode(True)
    with pytest.raises(ValueError, match="x"):
        errors.report("log", error)
    with pytest.warns(RerunWarning):
        errors.report("log", error, strict=False)


def test_warn_raises_when_strict():
    """A complaint is a warning without context, or in strict mode the exception asked for."""
    with pytest.warns(RerunWarning, match="^odd$"):
        errors.warn("odd")
    with pytest.raises(KeyError):
        errors.warn("odd", KeyError, strict=True)


def test_strict_false_leaves_a_strict_process_strict():
    """A call with strict=False that fails does not change the mode, even when a hook logs."""
    errors.set_strict_mode(True)
    errors.on_warning = lambda _: None
    with pytest.warns(RerunWarning):
        errors.report("log", ValueError("x"), strict=False)
    assert errors.strict_mode()


def test_strict_mode_is_the_process_s():
    """Every thread has the same mode, but for one that is logging a warning."""
    errors.set_strict_mode(True)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(errors.strict_mode()))
    thread.start()
    thread.join()
    errors.on_warning = lambda _: seen.append(errors.strict_mode())
    with pytest.warns(RerunWarning):
        errors.warn("odd", strict=False)
    assert seen == [True, False]


def test_hook_gets_text_and_stack():
    """The hook gets the text and one line a frame outside the package, before the warning is emitted."""
    got = []
    errors.on_warning = got.append
    with pytest.warns(RerunWarning):
        errors.report("log", ValueError("x"))
    line = here() - 1
    lines = got[0].splitlines()
    assert lines[0] == "log: ValueError(x)"
    assert lines[1] == f'File "{__file__}", line {line}, in test_hook_gets_text_and_stack'


def test_hook_never_recurses(capfd):
    """Warnings and exceptions inside the hook are told on stderr; the hook is not entered again."""
    errors._said.clear()
    calls = []

    def hook(text):
        calls.append(text)
        errors.report("hook", ValueError("inside"))
        raise RuntimeError("broken")

    errors.on_warning = hook
    errors.set_strict_mode(True)
    with pytest.warns(RerunWarning, match="log") as caught:
        errors.report("log", ValueError("x"), strict=False)
    assert len(calls) == len(caught) == 1
    err = capfd.readouterr().err
    assert "shmrerun: hook: ValueError(inside)" in err
    assert "RuntimeError: broken" in err


@pytest.mark.parametrize(
    ("value", "mode", "lines"),
    [
        ("1", True, 0),
        ("TRUE", True, 0),
        ("on", True, 0),
        ("Yes", True, 0),
        ("0", False, 0),
        ("off", False, 0),
        ("maybe", False, 1),
        ("", False, 1),
        (None, False, 0),
    ],
)
def test_environment(value, mode, lines):
    """RERUN_STRICT sets the mode at import; an unknown text is ignored with one line on stderr."""
    code = "from shmrerun import errors; print(errors.strict_mode())"
    env = {"PYTHONPATH": ":".join(path or "." for path in sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=env | ({} if value is None else {"RERUN_STRICT": value}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == f"{mode}\n"
    assert run.stderr.count("shmrerun: RERUN_STRICT") == run.stderr.count("\n") == lines


def test_say_is_one_line_and_never_raises(monkeypatch):
    """What is said is one line on stderr; a closed or missing stderr is no error."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    errors._said.clear()
    errors.say("a\nb")
    errors.say_once("key", "c")
    errors.say_once("key", "d")
    assert out.getvalue() == "shmrerun: a b\nshmrerun: c\n"
    out.close()
    errors.say("x")
    monkeypatch.setattr(sys, "stderr", None)
    errors.say("x")
