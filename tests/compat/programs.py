"""Which programs of a checkout of rerun-io/rerun `snippets.py` runs: with which arguments, and which not, and why."""

from __future__ import annotations

import importlib.util
import os
import re
import tomllib
from typing import NamedTuple

DIRECTORIES = ("docs/snippets/all", "examples/python", "tests/python")
LEFT_OUT = (  # what a program mentions, and why it is left out
    (r"\bcatalog\b|(rerun|rr)\.server\b|(rr|rerun)\.dataframe", "catalogs and servers"),
    (r"requests\.get|urlopen|urlretrieve|huggingface|yfinance", "download"),
    (r"ViewerClient|blueprint\.spawn\(|VideoCapture\(0|pyrealsense2", "a running viewer, or a camera"),
    (r"rerun\._log\b", "names that rerun-sdk keeps to itself"),
    (r"range\(20000000\)", "does not end"),
)
_RRD, _PLY = "{checkout}/examples/assets/example.rrd", "{checkout}/examples/assets/example.ply"
_RBL = "{checkout}/rerun_py/tests/e2e_redap_tests/resources/blueprints/table_blueprint.rbl"
ARGUMENTS = {  # of programs that need some, or take too long without; {checkout} stands for the checkout
    "docs/snippets/all/archetypes/gaussian_splats3d_ply.py": [_PLY],
    "docs/snippets/all/howto/visualization/load_blueprint.py": [_RRD, _RBL],
    "docs/snippets/all/howto/visualization/save_blueprint.py": ["blueprint.rbl"],
    "docs/snippets/all/reference/dataframe_view_query.py": [_RRD],
    "docs/snippets/all/tutorials/log-file.py": [_PLY],
    "docs/snippets/all/tutorials/visualization/load_blueprint.py": [_RBL],
    "docs/snippets/all/tutorials/visualization/save_blueprint.py": ["blueprint.rbl"],
    "examples/python/clock/clock.py": ["--steps", "200"],
    "examples/python/external_importer/rerun-importer-python-file.py": ["{checkout}/examples/assets/example.py"],
    "examples/python/live_scrolling_plot/live_scrolling_plot.py": ["--duration", "2"],
    "examples/python/log_file/log_file.py": ["{checkout}/examples/assets/example.glb", "{checkout}/examples/assets/example.md", _PLY],
    "examples/python/rrt_star/rrt_star.py": ["--max-step-size", "0.2", "--iterations", "200"],
    "tests/python/chunked_video/chunked_video.py": ["{checkout}/tests/assets/video"],
    "tests/python/log_benchmark/test_log_benchmark.py": ["transform3d", "--num-time-steps", "20"],
    "tests/python/many_entity_transforms/main.py": ["--hierarchy-depth", "5", "--num-timestamps", "10"],
    "tests/python/plot_dashboard_stress/main.py": ["--num-points-per-series", "500", "--num-plots", "2", "--blueprint"],
}
UNFORCED = (  # programs that say themselves where they record: with the variable set, rerun-sdk writes nothing of them
    "docs/snippets/all/concepts/rrd_format.py",
    "docs/snippets/all/howto/visualization/save_blueprint.py",
    "docs/snippets/all/tutorials/visualization/save_blueprint.py",
    "tests/python/blueprint/save_blueprint.py",
    "tests/python/memory_drain/main.py",  # several recordings, which cannot all have the forced file
)
_SEVERAL = "it makes several recordings; in the one forced file, rerun-sdk's overwrite each other, and ours move to files of their own"
NOT_BUILT = (  # what is not in shmrerun: a program that uses it is run all the same
    (r"\bMcapReader\b|Mp4Reader|ParquetReader", "readers of other files than recordings, as chunks"),
    (r"DeriveLens|MutateLens|\bSelector\(", "lenses"),
    (r"\.reader\(index", "DataFusion tables of a ChunkStore"),
)
KNOWN = {  # what stays different, and why
    "docs/snippets/all/concepts/build_chunk_from_record_batch.py": "the text of a chunk is our own",
    "docs/snippets/all/concepts/rrd_format.py": "the text of a chunk is our own",
    "examples/python/multiprocess_logging/multiprocess_logging.py": _SEVERAL,
    "examples/python/multithreading/multithreading.py": "its threads share one source of random numbers",
    "examples/python/shared_recording/shared_recording.py": "it logs the number of its process",
    "tests/python/gil_stress/main.py": _SEVERAL,
    "tests/python/release_checklist/main.py": _SEVERAL,
}


class Program(NamedTuple):
    """One Python file, and how to run it."""

    directory: str
    name: str
    path: str
    module: str  # to be run as this one, or nothing
    arguments: list[str]
    is_forced: bool  # to record into the one file that is compared
    left_out: str  # why it does not run, or nothing
    known: str  # why it differs, or nothing


def found(checkout: str) -> list[Program]:
    """All programs of a checkout, in order."""
    programs = []
    arguments = {**_snippet_arguments(checkout), **ARGUMENTS}
    for directory in DIRECTORIES:
        for where, _, names in os.walk(os.path.join(checkout, directory)):
            for path in (os.path.join(where, name) for name in names if name.endswith(".py") and name != "__init__.py"):
                name = os.path.relpath(path, checkout)
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                given = [argument.format(checkout=checkout) for argument in arguments.get(name, [])]
                if "script_add_args" in text:
                    given.append("--headless")
                left_out = _left_out(text, given, where)
                not_built = [f"not built: {what}" for pattern, what in NOT_BUILT if re.search(pattern, text)]
                package = os.path.basename(where)
                is_module = re.search(rf"^ *from (\.|{package}\b)", text, re.MULTILINE) is not None
                module = f"{package}.{os.path.basename(path)[:-3]}" if is_module else ""
                known = KNOWN.get(name) or ", ".join(not_built)
                programs.append(Program(directory, name, path, module, given, name not in UNFORCED, left_out, known))
    return sorted(programs)


def _snippet_arguments(checkout: str) -> dict[str, list[str]]:
    """Those that the snippets' own list gives them."""
    with open(os.path.join(checkout, "docs", "snippets", "snippets.toml"), "rb") as file:
        listed = tomllib.load(file)["extra_args"]
    return {
        f"docs/snippets/all/{name}.py": [argument.replace("$config_dir/../..", "{checkout}") for argument in given]
        for name, given in listed.items()
    }


def _left_out(text: str, arguments: list[str], here: str) -> str:
    for pattern, reason in LEFT_OUT:
        if re.search(pattern, text):
            return reason
    for package in re.findall(r"^ *(?:import|from) (\w+)", text, re.MULTILINE):
        if importlib.util.find_spec(package) is None and not {f"{package}.py", f"../{package}"} & {
            *os.listdir(here),
            f"../{os.path.basename(here)}",
        }:
            return f"needs {package}, which is not installed"
    for argument in arguments:
        if argument.startswith("/") and not os.path.exists(argument):
            return f"needs {argument}, which is not in the checkout"
        if argument.startswith("/") and _has_pointers(argument):
            return f"needs {argument}, of which the checkout has Git LFS pointers alone"
    return ""


def _has_pointers(path: str) -> bool:
    """Whether a file, or one below a directory, is a mere pointer to its contents."""
    for file in [path] if os.path.isfile(path) else [os.path.join(where, name) for where, _, names in os.walk(path) for name in names]:
        with open(file, "rb") as opened:
            if opened.read(23) == b"version https://git-lfs":
                return True
    return False
