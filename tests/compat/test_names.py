"""Names, parameters, defaults and values are those of rerun-sdk 0.41; what differs is listed here with its reason."""

import ast
import enum
import importlib
import inspect
import types
import warnings

import pytest

import shmrerun
from shmrerun.model.tables.components import ENUMS
from shmrerun.model.values.base import TextValue

rerun = pytest.importorskip("rerun")
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the older name of rerun.encodings warns
    importlib.import_module("rerun.datatypes")
    for name in (
        "blueprint",
        "blueprint.encodings",
        "blueprint.datatypes",
        "blueprint.views",
        "blueprint.visualizers",
        "urdf",
        "utilities",
    ):
        importlib.import_module(f"rerun.{name}")

MODULES = ("archetypes", "components", "encodings", "datatypes", "urdf", "utilities")
BLUEPRINTS = ("", ".archetypes", ".components", ".encodings", ".datatypes", ".views", ".experimental", ".table")
MODULES += tuple(f"blueprint{name}" for name in BLUEPRINTS)

ABSENT = {  # reason: what rerun has, as a function, class, module or method of RecordingStream, and this version has not
    "viewers, servers and notebooks": {"web"},
    "the query side": {"auth", "catalog", "login", "logout", "server", "tracing_session"},
}  # fmt: skip
NOT_API = {  # reason: public by accident
    "imports of its files": {
        "Any", "Callable", "TYPE_CHECKING", "TypeVar", "annotations", "asarray", "bindings", "cast", "functools", "np", "random", "sys",
        "time", "warnings",
    },
    "files that hold what the package exports": {"any_batch_value", "any_value", "dynamic_archetype", "recording_stream", "sinks"},
    "hooks of its code generator": {"deferred_patch_class", "native_to_pa_array_override", "*__field_converter_override"},
}  # fmt: skip
OURS = {  # what only shmrerun has: reason
    "Archetype": "the base class, for isinstance and annotations",
    "CustomSink": "users' own objects as sinks",
    "EXTERNAL_DATA_LOADER_INCOMPATIBLE_EXIT_CODE": "deprecated there, and not in its dir()",
    "RecordingInfo": "in rerun.archetypes only",
    "Recording": "reading back: with a footer or without, whole or damaged",
    "RecordingView": "its tables",
    "read": "its way in",
    "TimeNanosColumn": "of Rerun 0.24",
    "TimeSecondsColumn": "of Rerun 0.24",
    "TimeSequenceColumn": "of Rerun 0.24",
    "install_as_rerun": "makes `import rerun` mean this package",
    "serve_web": "of Rerun 0.24",
    "set_time_nanos": "of Rerun 0.24",
    "set_time_seconds": "of Rerun 0.24",
    "set_time_sequence": "of Rerun 0.24",
}
OURS_IN_MODULES = {  # the same for submodules
    "archetypes": {"Archetype", "Box2DFormat"},  # the latter stands in a file of its own there
    "components": {"EnumBase", "enum_class"},
    "encodings": set(),
    "datatypes": set(),
    "urdf": set(),
    "utilities": set(),
    "blueprint": {"api", "containers", "datatypes", "encodings", "views", "visualizers"}
    | {"archetypes", "components", "experimental", "table"},  # modules, of which it has no list
}
DIFFERENT = {  # member: reason; as "Class.member", "Class()" for the constructor, or ".member" for that of any class
    ".described": "the descriptor may be left out: a batch knows its own",
    "BinaryStream()": "only binary_stream() makes one",
    "CardLayout.from_fields": "the order of keyword-only parameters",
    "ClassDescription()": "defaults are empty tuples, not lists that all calls share",
    "ComponentBatchMixin()": "a protocol there, which nobody instantiates",
    "ComponentMixin()": "a protocol there, which nobody instantiates",
    "GrpcServerSink()": "it listens on this machine alone unless asked",
    "GrpcSink()": "flush_timeout_sec may be said",
    "MemoryRecording()": "only memory_recording() makes one",
    "RecordingStream.binary_stream": "a function patched in there, whose `recording` stands for self",
    "RecordingStream.connect_grpc": "flush_timeout_sec of Rerun 0.24 is taken",
    "RecordingStream.flush": "blocking of Rerun 0.24 is taken",
    "RecordingStream.get_application_id": "a function patched in there, whose `recording` stands for self",
    "RecordingStream.is_enabled": "a function patched in there, whose `recording` stands for self",
    "RecordingStream.send_columns": "strict may be positional, as in Rerun 0.24",
    "RecordingStream.send_dataframe": "AUTO_INDEX is our own",
    "RecordingStream.send_record_batch": "AUTO_INDEX is our own",
    "TensorData.numpy": "force may be left out",
    "connect_grpc": "flush_timeout_sec of Rerun 0.24 is taken",
    "send_dataframe": "AUTO_INDEX is our own",
    "send_record_batch": "AUTO_INDEX is our own",
}
MORE = {  # public members that only our classes have
    **{name: {"value"} for name in ("ActiveTab", "IncludedContent", "ViewOrigin")},
    "BinaryStream": {"storage"},  # an attribute of its instances there
    "EntityPath": {"value"},
    "FileSink": {"path", "write_footer"},
    "GrpcServerSink": {"bind_ip", "cors_allow_origin", "newest_first", "port", "server_memory_limit"},
    "GrpcSink": {"flush_timeout_sec", "url"},
    "MemoryRecording": {"concat_as_bytes", "storage"},  # attributes of its storage there
    "RecordingStream": {"serve_web", "set_time_nanos", "set_time_seconds", "set_time_sequence"},
    "TensorData": {"array"},
    "encodings.*Batch": {"component_type", "described", "partition"},  # batches of encodings and of components are of one kind
}
SEED = """
RecordingStream(application_id, *, recording_id=None, make_default=False, make_thread_default=False, default_enabled=True,
    send_properties=True)
RecordingStream.connect_grpc(url=None, *, flush_timeout_sec=2.0, default_blueprint=None)
RecordingStream.disable_timeline(timeline)
RecordingStream.disconnect()
RecordingStream.flush(blocking=True)
RecordingStream.log(entity_path, entity, *extra, static=False, strict=None)
RecordingStream.log_file_from_contents(file_path, file_contents, *, entity_path_prefix=None, static=False)
RecordingStream.log_file_from_path(file_path, *, entity_path_prefix=None, static=False)
RecordingStream.memory_recording()
RecordingStream.notebook_show(*, width=None, height=None, blueprint=None)
RecordingStream.reset_time()
RecordingStream.save(path, default_blueprint=None)
RecordingStream.send_blueprint(blueprint, *, make_active=True, make_default=True)
RecordingStream.send_columns(entity_path, indexes, columns, strict=None)
RecordingStream.send_property(name, values)
RecordingStream.send_recording_name(name)
RecordingStream.send_recording_start_time_nanos(nanos)
RecordingStream.serve_web(*, open_browser=True, web_port=None, grpc_port=None, default_blueprint=None, server_memory_limit='25%')
RecordingStream.set_time(timeline, *, sequence=None, duration=None, timestamp=None)
RecordingStream.set_time_nanos(timeline, nanos)
RecordingStream.set_time_seconds(timeline, seconds)
RecordingStream.set_time_sequence(timeline, sequence)
RecordingStream.spawn(*, port=9876, connect=True, memory_limit='75%', hide_welcome_screen=False, default_blueprint=None)
RecordingStream.stdout(default_blueprint=None)
init(application_id, *, recording_id=None, spawn=False, init_logging=True, default_enabled=True, strict=None, default_blueprint=None,
    send_properties=True)
connect_grpc(url=None, *, flush_timeout_sec=2.0, default_blueprint=None, recording=None)
disconnect(recording=None)
legacy_notebook_show(*, width=950, height=712, app_url=None, timeout_ms=2000, blueprint=None, recording=None)
memory_recording(recording=None)
notebook_show(*, width=None, height=None, blueprint=None, recording=None)
save(path, default_blueprint=None, recording=None)
send_blueprint(blueprint, *, make_active=True, make_default=True, recording=None)
serve_web(*, open_browser=True, web_port=None, grpc_port=None, default_blueprint=None, recording=None, server_memory_limit='25%')
spawn(*, port=9876, connect=True, memory_limit='75%', hide_welcome_screen=False, default_blueprint=None, recording=None)
start_web_viewer_server(port=0)
disable_timeline(timeline, recording=None)
get_data_recording(recording=None)
get_global_data_recording()
get_thread_local_data_recording()
recording_stream_generator_ctx(func)
set_global_data_recording(recording)
set_thread_local_data_recording(recording)
set_time(timeline, *, recording=None, sequence=None, duration=None, timestamp=None)
set_time_nanos(timeline, nanos, recording=None)
set_time_seconds(timeline, seconds, recording=None)
set_time_sequence(timeline, sequence, recording=None)
reset_time(recording=None)
strict_mode()
AnyValues()
AsComponents()
Points2D(positions)
Points3D(positions)
Arrows3D(*, vectors)
TextLog(text)
TimeColumn(timeline, *, sequence=None, duration=None, timestamp=None)
""".replace("\n    ", " ").split("\n")[1:-1]  # signatures of Rerun 0.24


def absent():
    return {name for names in ABSENT.values() for name in names}


def left_out(name):
    if name.endswith("__field_converter_override") or name.startswith("_"):
        return True
    return name in absent() or any(name in names for names in NOT_API.values())


def names_of(module):
    """Public names of a module of rerun: what it exports, or what it holds, without its files."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    return sorted(
        name for name in dir(module) if not left_out(name) and (module is rerun or not isinstance(getattr(module, name), types.ModuleType))
    )


def module_of(package, name):
    return importlib.import_module(f"{package}.{name}") if name else importlib.import_module(package)


def ours_and_theirs(module):
    """Triples of name, rerun's object and ours, for each public name of a module."""
    real, mine = module_of("rerun", module), module_of("shmrerun", module)
    return [(name, getattr(real, name), getattr(mine, name)) for name in names_of(real)]


def parameters(function):
    """Names, kinds and defaults; None where nothing is known of them. ``self`` is left out."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [(p.name, p.kind.name, p.default) for p in found if p.name not in ("self", "cls")]


def members(cls):
    return {name for name in dir(cls) if not left_out(name)}


def classes(module):
    for name, theirs, ours in ours_and_theirs(module):
        if inspect.isclass(theirs) and not name.endswith("Like"):
            yield name, theirs, ours


def test_the_stub_is_the_list():
    """The package's stub, its `__all__` and its `dir()` have the same public names, and each stands where the stub says."""
    with open(shmrerun.__file__ + "i", encoding="utf-8") as file:
        tree = ast.parse(file.read())
    listed = next(ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "__all__")
    assert sorted(listed) == shmrerun.__all__ == [name for name in dir(shmrerun) if not name.startswith("_")]
    found = {alias.asname: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names if alias.asname}
    assert {found.pop("__version__"), found.pop("__version_info__")} == {"shmrerun.api"}
    assert {*found} | {"log", "set_time"} == {*listed}
    for name, module in found.items():
        assert getattr(importlib.import_module(module), name) is getattr(shmrerun, name), name


def test_star_import_has_everything():
    """`from shmrerun import *` gives every public name, the lazy ones too, and warns of none."""
    scope = {}
    exec("from shmrerun import *", scope)
    assert {*shmrerun.__all__} <= {*scope}


def test_names_that_rerun_lacks_are_no_names():
    """A component that Rerun's package does not export is no name of this one: `rr.Scalar` of old programs is an AttributeError."""
    for name in ("Scalar", "Position3D", "Color", "FillMode", "enum_class"):
        assert not hasattr(rerun, name)
        assert not hasattr(shmrerun, name)


@pytest.mark.parametrize("module", ["", *MODULES])
def test_names_exist(module):
    """Each public name of rerun and of its submodules exists here, as the same kind of thing."""
    mine = module_of("shmrerun", module)
    assert not [name for name in names_of(module_of("rerun", module)) if not hasattr(mine, name)]
    for name, theirs, ours in ours_and_theirs(module):
        if not name.endswith("Like"):
            assert inspect.isclass(ours) == inspect.isclass(theirs), name
            assert callable(ours) == callable(theirs), name
            kind = getattr(theirs, "__module__", "").split(".")[1:2]
            if kind and kind[0] in MODULES:  # which of two classes of one name, say
                assert ours.__module__.split(".")[1:2] == kind, name


def test_names_of_our_own_are_listed():
    """What shmrerun exports beyond rerun is what the tables above say, no more and no less."""
    assert {name for name in (*shmrerun.__all__, *shmrerun._LAZY) if name not in dir(rerun) and name not in MODULES} == {*OURS}
    for module in MODULES:
        mine = {*module_of("shmrerun", module).__all__}
        assert mine - {*names_of(module_of("rerun", module))} == OURS_IN_MODULES.get(module, set()), module


@pytest.mark.parametrize("name", names_of(rerun))
def test_constants(name):
    """Constants have rerun's values, and functions of the package its parameters."""
    theirs, ours = getattr(rerun, name), getattr(shmrerun, name)
    if isinstance(theirs, str | bytes | int):
        assert ours == theirs
        assert type(ours) is type(theirs)
    elif isinstance(theirs, types.FunctionType | types.BuiltinFunctionType):
        assert (parameters(ours) == parameters(theirs)) == (name not in DIFFERENT), name


@pytest.mark.parametrize("module", ["", *MODULES])
def test_constructors(module):
    """Each class is constructed with rerun's parameters, kinds and defaults, unless listed; a listed one does differ."""
    for name, theirs, ours in classes(module):
        if issubclass(theirs, enum.Enum):
            continue
        assert (parameters(theirs) == parameters(ours)) == (f"{name}()" not in DIFFERENT), name


@pytest.mark.parametrize("module", ["", *MODULES])
def test_members(module):
    """Each public method, property and constant of a class exists here, methods with rerun's parameters, unless listed."""
    for name, theirs, ours in classes(module):
        missing = members(theirs) - {*dir(ours)}
        assert not missing, name
        for member in members(theirs):
            real = getattr(theirs, member)
            if not callable(real) or inspect.isclass(real):
                continue
            expected, found = parameters(real), parameters(getattr(ours, member))
            if expected is None or f".{member}" in DIFFERENT:
                continue
            assert (expected == found) == (f"{name}.{member}" not in DIFFERENT), f"{name}.{member}: {expected} {found}"


@pytest.mark.parametrize("module", ["", *MODULES])
def test_members_of_our_own_are_listed(module):
    """Public members that rerun's classes do not have are those in the table above."""
    is_encoding = module.endswith(("encodings", "datatypes"))
    for name, theirs, ours in classes(module):
        extra = {member for member in members(ours) - {*dir(theirs)} if not (issubclass(ours, TextValue) and hasattr(str, member))}
        listed = MORE.get(f"encodings.{name}" if is_encoding else name, MORE.get(name, set()))
        if is_encoding and name.endswith("Batch"):
            listed = MORE["encodings.*Batch"]
        assert extra == listed, name


def test_enums():
    """Each enum has rerun's members, in its order, with its values and texts, and finds them by what rerun finds them by."""
    seen = set()
    for module in ("components", "encodings"):
        for name, theirs, ours in classes(module):
            if issubclass(theirs, enum.Enum):
                seen.add(name)
                assert [(key, member.value) for key, member in ours.__members__.items()] == [
                    (key, member.value) for key, member in theirs.__members__.items()
                ], name
                assert [str(member) for member in ours] == [str(member) for member in theirs]
                for member in ours:
                    assert ours.auto(member.name.lower()) is ours.auto(member.name) is ours.auto(member.value) is member
    assert seen == {*ENUMS}


@pytest.mark.parametrize("module", ["components", "encodings"])
def test_aliases(module):
    """Aliases for annotations are made of the class of their name, those of enums with the texts that are taken."""
    mine = module_of("shmrerun", module)
    for name in names_of(module_of("rerun", module)):
        if name.endswith("Like"):
            assert getattr(mine, name) == getattr(mine, name), name  # made twice, or kept
    with pytest.raises(AttributeError, match="NoSuchLike"):
        _ = mine.NoSuchLike


def test_aliases_cost_nothing_until_asked_for():
    """No alias is made by importing the module that has it."""
    source = (
        "import sys, shmrerun.encodings as e, shmrerun.components as c; print([n for m in (e, c) for n in vars(m) if n.endswith('Like')])"
    )
    import subprocess
    import sys

    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=300, check=True)
    assert ran.stdout.strip() == "[]"


def test_what_is_listed_as_missing_is_missing():
    """The lists above are current: whatever stands in them exists in rerun, and not here."""
    stream = {*dir(shmrerun.RecordingStream)}
    for name in absent():
        assert hasattr(rerun, name) or hasattr(rerun.Points3D, name), name
        assert not hasattr(shmrerun, name), name
        assert name not in stream, name
        assert not hasattr(shmrerun.Points3D, name), name


@pytest.mark.parametrize("line", SEED, ids=lambda line: line.partition("(")[0])
def test_seed(line):
    """Each function and class of Rerun 0.24's documentation takes what is documented there."""
    name, _, rest = line.partition("(")
    cls, _, method = name.rpartition(".")
    where = getattr(shmrerun, cls) if cls else shmrerun
    if method in absent():
        assert not hasattr(where, method)
        return
    documented = ast.parse(f"def f({rest}: pass").body[0].args
    found = {p[0]: p for p in parameters(getattr(where, method))}
    positional = [a.arg for a in documented.args]
    defaults = [inspect.Parameter.empty] * (len(positional) - len(documented.defaults)) + [ast.literal_eval(d) for d in documented.defaults]
    for argument, default in zip(positional, defaults, strict=True):
        assert found[argument][1] in ("POSITIONAL_OR_KEYWORD", "POSITIONAL_ONLY")
        assert found[argument][2] == default or default is inspect.Parameter.empty
    assert [p for p in found if p in positional] == positional
    for argument, default in zip(documented.kwonlyargs, documented.kw_defaults, strict=True):
        assert default is None or found[argument.arg][2] == ast.literal_eval(default)
    if documented.vararg:
        assert found[documented.vararg.arg][1] == "VAR_POSITIONAL"
    required = {p for p, (_, kind, default) in found.items() if default is inspect.Parameter.empty and not kind.startswith("VAR")}
    assert required <= {*positional} | {argument.arg for argument in documented.kwonlyargs}


def test_exports_are_sorted_and_exist():
    """`__all__` of the package and its submodules holds names that exist, each once, in order."""
    for module in ("", *MODULES, "error_utils"):
        mine = module_of("shmrerun", module)
        assert len(set(mine.__all__)) == len(mine.__all__)
        assert all(hasattr(mine, name) for name in mine.__all__)
        assert sorted(mine.__all__) == list(mine.__all__)


def test_deprecated_name_warns():
    """The older name of the importers' exit code is there, with a DeprecationWarning, and has the same value."""
    vars(shmrerun).pop("EXTERNAL_DATA_LOADER_INCOMPATIBLE_EXIT_CODE", None)
    with pytest.warns(DeprecationWarning, match="EXTERNAL_IMPORTER"):
        assert shmrerun.EXTERNAL_DATA_LOADER_INCOMPATIBLE_EXIT_CODE == shmrerun.EXTERNAL_IMPORTER_INCOMPATIBLE_EXIT_CODE
