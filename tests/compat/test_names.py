"""P9: names, kinds of parameters and defaults are those of rerun-sdk 0.41; what differs is listed here with its reason."""

import inspect
import types

import pytest

import shmrerun

rerun = pytest.importorskip("rerun")

LATER = {  # not part of this version: viewers, servers, notebooks, blueprints, file loaders, read-back, the query side
    "legacy_notebook_show", "log_file_from_contents", "log_file_from_path", "login", "logout", "notebook_show", "send_blueprint",
    "send_chunks", "send_dataframe", "send_record_batch", "serve_web_viewer", "start_web_viewer_server", "tracing_session",
}  # fmt: skip
LATER_METHODS = (LATER & set(dir(rerun.RecordingStream))) | {"serve_grpc", "stdout"}
NOT_API = {"asarray", "cast"}  # leftovers of imports in rerun's own namespace
SEED = {  # parameters of Rerun 0.24 that 0.41 lost, and shmrerun has
    "connect_grpc": {"flush_timeout_sec"},
    "flush": {"blocking"},
}
SEED_POSITIONAL = {"send_columns": {"strict"}}  # positional in 0.24's method, keyword-only now
BOUND = {"binary_stream", "get_application_id", "is_enabled"}  # 0.41 patches functions in as methods: `recording` stands for self


def parameters(function):
    return {p.name: (p.kind.name, p.default) for p in inspect.signature(function).parameters.values()}


def public_functions(where):
    return [name for name in dir(where) if isinstance(getattr(where, name), types.FunctionType) and not name.startswith("_")]


def compare(name, theirs, ours):
    theirs, ours = parameters(theirs), parameters(ours)
    for extra in SEED.get(name, ()):
        assert ours.pop(extra)
    for positional in SEED_POSITIONAL.get(name, ()):
        theirs.pop(positional), ours.pop(positional)
    assert ours == theirs


@pytest.mark.parametrize("name", [name for name in public_functions(rerun) if name not in LATER | NOT_API])
def test_functions(name):
    """Each public function of rerun exists here with its parameters."""
    compare("" if name == "send_columns" else name, getattr(rerun, name), getattr(shmrerun, name))


@pytest.mark.parametrize("name", [n for n in public_functions(rerun.RecordingStream) if n not in LATER_METHODS])
def test_methods(name):
    """Each public method of RecordingStream exists here with its parameters."""
    theirs, ours = getattr(rerun.RecordingStream, name), getattr(shmrerun.RecordingStream, name)
    if name in BOUND:
        assert list(parameters(ours)) == ["self"]
    else:
        compare(name, theirs, ours)


def test_constructor():
    """RecordingStream is made with rerun's parameters."""
    assert parameters(rerun.RecordingStream.__init__) == parameters(shmrerun.RecordingStream.__init__)


def test_what_is_listed_as_missing_is_missing():
    """The lists above are current: whatever stands in them does not exist yet."""
    assert not [name for name in LATER if hasattr(shmrerun, name)]
    assert not [name for name in LATER_METHODS if hasattr(shmrerun.RecordingStream, name)]


def test_seed_functions_exist():
    """Functions of Rerun 0.24 that 0.41 removed are here, as functions and as methods."""
    for name in ("set_time_sequence", "set_time_seconds", "set_time_nanos"):
        assert callable(getattr(shmrerun, name))
        assert callable(getattr(shmrerun.RecordingStream, name))


def test_exports_are_sorted_and_exist():
    """`__all__` holds names that exist, each once."""
    assert len(set(shmrerun.__all__)) == len(shmrerun.__all__)
    assert all(hasattr(shmrerun, name) for name in shmrerun.__all__)
