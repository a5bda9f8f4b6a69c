"""``shmrerun demo``: several processes parse Python's standard library and log what they find into one recording.

The workers contain nothing but ``log`` calls; afterwards the file is read back and its rows are counted against them.
"""

from __future__ import annotations

import ast
import json
import multiprocessing
import os
import sys
import sysconfig
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import shmrerun as rr

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

_SKIPPED = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
_NOT_LOGGED = (b"/__properties", b"/__dropped")  # entities whose rows nobody logged
_LONG_LINES = 150  # a function of this many lines is worth a message
_SLOW_SECONDS = 0.2  # so is a file that takes this long
_FLUSH_SECONDS = 60.0  # for a viewer or server to take all rows
_KINDS = (
    "Name", "Constant", "Attribute", "Call", "Assign", "Expr", "arg", "If", "FunctionDef", "Return", "Compare", "Tuple",
    "BinOp", "Subscript", "For", "Try", "ClassDef", "Raise", "With", "Lambda",
)  # fmt: skip


class Facts(NamedTuple):
    """What a file of Python source holds."""

    size_bytes: int
    lines: int
    functions: int
    parse_secs: float
    kinds: list[int]
    messages: list[tuple[str, str]]


class Outcome(NamedTuple):
    """What a worker says about one file, for the table at the end."""

    worker: str
    pid: int
    cost_nanos: list[int]


def standard_library(limit: int | None = None) -> list[str]:
    """Paths of the installed standard library's modules, without its tests and without installed packages."""
    root = sysconfig.get_path("stdlib")
    found = []
    for directory, directories, names in os.walk(root):
        directories[:] = sorted(name for name in directories if name not in _SKIPPED)
        found += [os.path.join(directory, name) for name in sorted(names) if name.endswith(".py")]
    return found if limit is None or limit >= len(found) else found[:: len(found) // limit][:limit]


def examine(path: str) -> Facts:
    """Parse one file and count."""
    with open(path, "rb") as file:
        source = file.read()
    messages = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        began = time.perf_counter()
        try:
            tree: ast.AST = ast.parse(source, path)
        except (SyntaxError, ValueError) as error:
            messages.append(("ERROR", f"{_short(path)}: {error}"))
            tree = ast.Module([], [])
        parse_secs = time.perf_counter() - began
    messages += [("WARN", f"{_short(path)}:{warning.lineno}: {warning.message}") for warning in caught]
    kinds = dict.fromkeys(_KINDS, 0)
    functions = 0
    for node in ast.walk(tree):
        kind = type(node).__name__
        if kind in kinds:
            kinds[kind] += 1
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions += 1
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines >= _LONG_LINES:
                messages.append(("INFO", f"{_short(path)}: {node.name} has {lines} lines"))
    if parse_secs >= _SLOW_SECONDS:
        messages.append(("WARN", f"{_short(path)} took {parse_secs * 1e3:.0f} ms"))
    return Facts(len(source), source.count(b"\n"), functions, parse_secs, list(kinds.values()), messages)


def _short(path: str) -> str:
    return os.path.relpath(path, sysconfig.get_path("stdlib"))


# ---- in the workers

_largest = 0  # bytes of the largest file that this worker has met


def work(task: tuple[int, str]) -> Outcome:
    """Examine one file and log the result: the whole of what a worker does. There is no set-up before it."""
    global _largest
    index, path = task
    facts = examine(path)
    name = multiprocessing.current_process().name.rpartition("-")[2]
    cost: list[int] = []

    def log(entity_path: str, archetype: Any, *arguments: Any, **fields: Any) -> None:
        began = time.perf_counter_ns()
        rr.set_time("file", sequence=index)
        rr.set_time("wall", timestamp=time.time())
        rr.log(entity_path, archetype(*arguments, **fields))
        cost.append(time.perf_counter_ns() - began)

    log("files/bytes", rr.Scalars, facts.size_bytes)
    log("files/lines", rr.Scalars, facts.lines)
    log("files/functions", rr.Scalars, facts.functions)
    log("files/node_kinds", rr.BarChart, facts.kinds)
    log(f"workers/{name}/parse_ms", rr.Scalars, facts.parse_secs * 1e3)
    for level, text in facts.messages:
        log("messages", rr.TextLog, text, level=level)
    if facts.size_bytes > _largest:
        _largest = facts.size_bytes
        log("messages", rr.TextLog, f"{_short(path)} is the largest that worker {name} has met", level="DEBUG")
    return Outcome(name, os.getpid(), cost)


# ---- in the parent


class _Bar:
    """A progress bar on stderr; nothing where stderr is no terminal."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self._total, self._shown = total, shown and sys.stderr.isatty()
        self._next = 0.0

    def show(self, done: int) -> None:
        now = time.monotonic()
        if not self._shown or (now < self._next and done < self._total):
            return
        self._next = now + 0.1
        filled = 40 * done // self._total
        sys.stderr.write(f"\r[{'#' * filled}{'.' * (40 - filled)}] {done:,}/{self._total:,} files")
        sys.stderr.write("\n" if done == self._total else "")
        sys.stderr.flush()


def run(arguments: argparse.Namespace) -> int:
    """Run the pipeline and report; status 1 if a row was lost, 2 if the file cannot be written, or the viewer not be shown."""
    files = standard_library(arguments.files)
    workers = min(arguments.workers or os.cpu_count() or 1, max(1, len(files)))
    context = multiprocessing.get_context(arguments.start_method)
    began = time.monotonic()
    rr.init("shmrerun_demo")
    live = arguments.view or arguments.web
    try:
        _send(arguments)
    except RuntimeError as error:
        print(f"shmrerun: {error}", file=sys.stderr)
        return 2
    outcomes: list[Outcome] = []
    calls = _log_legend()
    bar = _Bar(len(files), shown=not arguments.json)
    bar.show(0)
    with context.Pool(workers) as pool:
        for outcome in pool.imap_unordered(work, enumerate(files), chunksize=4):
            outcomes.append(outcome)
            if len(outcomes) % 20 == 0 or len(outcomes) == len(files):
                rr.set_time("wall", timestamp=time.time())
                rr.log("progress", rr.Scalars(100 * len(outcomes) / len(files)))
                calls += 1
            bar.show(len(outcomes))
        pool.close()
        pool.join()
    missing: int | None = 0
    if not live:
        rr.disconnect()
    elif (missing := _arrived()) is None:
        return 1
    seconds = time.monotonic() - began
    report = _report(None if live else arguments.out, outcomes, calls) | {"workers": workers, "seconds": seconds}
    report["start_method"] = context.get_start_method()
    report["rows"]["lost"] += missing
    if arguments.json:
        print(json.dumps(report), flush=True)
    else:
        print("\n".join(_lines(report)), flush=True)
    if arguments.web:
        _serve_on()
    return 1 if report["rows"]["lost"] else 0


def _send(arguments: argparse.Namespace) -> None:
    """Set the sink that the options ask for. RuntimeError: it cannot be had."""
    if arguments.view:
        rr.spawn(default_blueprint=_layout())
    elif arguments.web:
        rr.serve_web(default_blueprint=_layout())
    else:
        rr.save(arguments.out, default_blueprint=_layout())


def _layout() -> Any:
    """What viewers show: the workers' speed and the files' size over time, what the last file is made of, messages, progress."""
    import shmrerun.blueprint as rrb

    speed = rrb.TimeSeriesView(origin="/workers", name="Milliseconds to parse a file, by worker", plot_legend=rrb.PlotLegend("LeftTop"))
    kinds = rrb.BarChartView(origin="/files/node_kinds", name="What a file is made of", plot_legend=rrb.PlotLegend(visible=False))
    size = rrb.TimeSeriesView(
        origin="/files",
        contents=["+ $origin/lines", "+ $origin/functions"],
        name="Lines and functions of a file",
        overrides={"/files/functions": rr.SeriesPoints(colors=[255, 170, 0], marker_sizes=2)},
        plot_legend=rrb.PlotLegend("LeftTop"),
    )
    messages = rrb.TextLogView(origin="/messages", name="Messages")
    done = rrb.TimeSeriesView(
        origin="/progress", name="Files done, percent", axis_y=rrb.ScalarAxis(range=(0, 100)), plot_legend=rrb.PlotLegend(visible=False)
    )
    legend = rrb.TextDocumentView(origin="/files/node_kinds/legend", name="Kinds")
    return rrb.Blueprint(
        rrb.Vertical(
            rrb.Horizontal(speed, kinds, legend, column_shares=[5, 4, 2]),
            rrb.Horizontal(size, rrb.Tabs(messages, done, active_tab=0), column_shares=[5, 6]),
        ),
        rrb.TimePanel(timeline="wall", state="collapsed"),
        collapse_panels=True,
    )


def _arrived() -> int | None:
    """Wait until the viewer or the server has all rows; rows that were dropped or lost, None if they have not all arrived in time."""
    from shmrerun.producer.summary import counters

    recording = rr.get_data_recording()
    assert recording is not None
    try:
        recording.flush(timeout_sec=_FLUSH_SECONDS)
    except RuntimeError as error:
        print(f"shmrerun: {error}", file=sys.stderr)
        return None
    session = recording._stream.live()
    found = counters(session.words) if session is not None else None
    return found.dropped + found.lost if found else None


def _serve_on() -> None:
    """Hold on, so that browsers can look, until Ctrl-C."""
    print("Served until Ctrl-C.", file=sys.stderr, flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return


def _log_legend() -> int:
    """Log what does not change, and return how many rows that is."""
    legend = "\n".join(f"{number}: {kind}" for number, kind in enumerate(_KINDS))
    rr.log("files/node_kinds/legend", rr.TextDocument(legend), static=True)
    rr.log("progress", rr.SeriesLines(names="files done, percent"), static=True)
    return 2


def _report(path: str | None, outcomes: Iterable[Outcome], parent_calls: int) -> dict[str, Any]:
    processes: dict[int, dict[str, Any]] = {os.getpid(): {"name": "parent", "pid": os.getpid(), "rows": parent_calls}}
    cost: list[int] = []
    for outcome in outcomes:
        process = processes.setdefault(outcome.pid, {"name": f"worker {outcome.worker}", "pid": outcome.pid, "rows": 0})
        process["rows"] += len(outcome.cost_nanos)
        cost += outcome.cost_nanos
    cost.sort()
    calls = sum(process["rows"] for process in processes.values())
    rows, chunks = count_rows(path) if path else (calls, None)  # what a viewer shows cannot be counted
    return {
        "processes": sorted(processes.values(), key=lambda process: (len(process["name"]), process["name"])),
        "rows": {"logged": calls, "in_file": rows if path else None, "lost": calls - rows},
        "cost_of_a_call": {"n": len(cost), "p50_nanos": _quantile(cost, 0.5), "p99_nanos": _quantile(cost, 0.99)},
        "chunks": chunks,
        "bytes": os.path.getsize(path) if path else None,
        "path": path,
    }


def _quantile(ascending: list[int], part: float) -> int | None:
    return ascending[min(len(ascending) - 1, int(part * len(ascending)))] if ascending else None


def count_rows(path: str) -> tuple[int, int]:
    """Count the rows that a program logged (not properties, nor notes of the aggregator) and the chunks of a file."""
    from shmrerun.rrd.decoder import batches
    from shmrerun.rrd.encoder import RECORDING

    rows = chunks = 0
    for _, arrow_msg, batch in batches(path):
        if arrow_msg.store_id.kind != RECORDING:
            continue
        chunks += 1
        entity_path = (batch.schema.metadata or {}).get(b"rerun:entity_path", b"")
        if not entity_path.startswith(_NOT_LOGGED):
            rows += batch.num_rows
    return rows, chunks


def _lines(report: dict[str, Any]) -> list[str]:
    from shmrerun.cli.ps import size

    rows, cost = report["rows"], report["cost_of_a_call"]
    lines = [f"{process['name']:<12}{process['pid']:>9}{process['rows']:>9,} rows" for process in report["processes"]]
    where = f"{rows['in_file']:,} rows are in the file" if report["path"] else "the viewer or server has all others"
    lines += ["", f"rows lost     {rows['lost']:,} ({rows['logged']:,} calls returned, {where})"]
    if cost["n"]:
        lines.append(
            f"cost          {cost['p50_nanos'] / 1e3:.1f} us at the median, {cost['p99_nanos'] / 1e3:.1f} us at p99, "
            "for two set_time and one log"
        )
    if report["path"]:
        lines.append(f"file          {report['path']}: {size(report['bytes'])}, {report['chunks']:,} chunks")
    lines.append(f"time          {report['seconds']:.1f} s with {report['workers']} workers ({report['start_method']})")
    if report["path"]:
        lines += ["", f"Look at it:   rerun {report['path']}     (the viewer: pip install rerun-sdk)"]
    return lines
