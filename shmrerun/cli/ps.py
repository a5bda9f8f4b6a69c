"""``shmrerun ps``: what this user's programs log now. Reads shared memory; changes and starts nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shmrerun.cli import _look
from shmrerun.shm import sweep

if TYPE_CHECKING:
    import argparse

_CAUSES = {
    "lane_full": "lane full",
    "too_large": "no memory for so large a row",
    "no_sink_or_limit": "no sink, or its limit reached",
    "by_members_that_left": "by processes that have left",
    "damaged": "damaged lane",
}


def run(arguments: argparse.Namespace) -> int:
    """Print all trees; status 0, also when there are none."""
    found = [_look.describe(tree) for tree in sweep.trees()]
    if arguments.json:
        print(json.dumps({"trees": found}))
    elif found:
        print("\n\n".join("\n".join(_lines(tree)) for tree in found))
    else:
        print("No program of this user logs now.")
    return 0


def _lines(tree: dict[str, Any]) -> list[str]:
    aggregator, budget = tree["aggregator"], tree["lane_budget"]
    if aggregator["pid"] is None:
        state = "no aggregator yet"
    else:
        alive = "alive" if aggregator["alive"] else "DEAD"
        state = f"aggregator {aggregator['pid']} {alive}, heartbeat {aggregator['heartbeat_age_secs'] * 1e3:.0f} ms ago"
        if aggregator["starts"] > 1:
            state += f", started {aggregator['starts']} times"
    lines = [f"tree {tree['tree']}: {state}; lanes {size(budget['used_bytes'])} of {size(budget['limit_bytes'])}"]
    if tree["abandoned"]:
        lines.append("  ABANDONED: its processes and its aggregator are gone; rows that wait here are in no file. Run: shmrerun recover")
    for process in tree["processes"]:
        dead = "" if process["alive"] else " (gone)"
        lines.append(f"  process {process['pid']}{dead} {(process['command'] or '')[:100]}")
    if tree["faults"]:
        lines += ["  faults of the aggregator:", *(f"    {line}" for line in tree["faults"].splitlines()[-12:])]
    for recording in tree["recordings"]:
        lines += _recording_lines(recording)
    return lines


def _recording_lines(recording: dict[str, Any]) -> list[str]:
    dropped = {cause: count for cause, count in recording["dropped"].items() if count}
    counts = f"{recording['rows']:,} rows in {recording['chunks']:,} chunks, {size(recording['bytes'])}"
    lines = [
        f"  recording {recording['application_id']} / {recording['recording_id']}",
        f"    {counts}; dropped: {sum(dropped.values()):,}",
    ]
    lines += [f"      {count:,} {_CAUSES[cause]}" for cause, count in dropped.items()]
    for sink in recording["sinks"]:
        error = f", ERROR {sink['error'].splitlines()[0]}" if sink["error"] else ""
        error += f", {sink['dropped']:,} rows dropped" if sink["dropped"] else ""
        lines.append(f"    {sink['kind']} {sink['path']} ({sink['state']}, {size(sink['bytes'])}{error})")
    if not recording["sinks"]:
        lines.append("    no sink: rows are buffered")
    if recording["message"]:
        lines.append(f"    message: {recording['message']}")
    lines.append(f"    {'pid':>9}  {'state':<5}{'rows':>12}{'dropped':>9}{'waiting':>11}{'lane':>11}{'generation':>12}")
    for member in recording["members"]:
        state = "left" if member["left"] else "alive" if member["alive"] else "gone"
        waiting, room = size(member["lane"]["waiting_bytes"]), size(member["lane"]["size_bytes"])
        made, lost = member["generations"]["made"], sum(member["dropped"].values())
        lines.append(f"    {member['pid'] or '-':>9}  {state:<5}{member['rows']:>12,}{lost:>9,}{waiting:>11}{room:>11}{made:>12}")
    return lines


def size(count: float) -> str:
    """Bytes for people: ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
