"""`log` with wrong arguments: a warning, as in Rerun, or an error in strict mode."""

import inspect
import warnings

import pytest

import shmrerun as rr

rerun = pytest.importorskip("rerun")

CALLS = {
    "nothing": lambda m, **more: m.log(**more),
    "no entity": lambda m, **more: m.log("a", **more),
    "unknown keyword": lambda m, **more: m.log("a", m.Scalars(1.0), statik=True, **more),
    "no recording": lambda m, **more: m.log("a", m.Scalars(1.0), recording=5, **more),
    "a text for a recording": lambda m, **more: m.log("a", m.Scalars(1.0), recording="x", **more),
    "given twice": lambda m, **more: m.log("a", m.Scalars(1.0), entity_path="a", **more),
}


def outcome(call, module, **more):
    """Texts of the warnings, and type and text of the error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call(module, **more)
        except Exception as error:
            return [], type(error), str(error)
    return [str(one.message) for one in caught], None, ""


@pytest.mark.parametrize("more", [{}, {"strict": True}, {"strict": False}], ids=str)
@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_are_rerun_s_warnings(name, more):
    """A wrong call warns with Rerun's text where Rerun warns, and raises Rerun's error where that raises."""
    assert outcome(CALLS[name], rr, **more) == outcome(CALLS[name], rerun, **more)


def test_the_warning_is_at_the_caller_s_line():
    """The warning of a wrong call points at that call."""
    with pytest.warns(rr.error_utils.RerunWarning) as caught:
        rr.log("a")
    assert (caught[0].filename, caught[0].lineno) == (__file__, inspect.currentframe().f_lineno - 1)
