"""``shmrerun clean``: what killed programs left in shared memory and in spill directories; removed only with ``--yes``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from shmrerun.cli.ps import size
from shmrerun.shm import places, sweep

if TYPE_CHECKING:
    import argparse

    from shmrerun.shm.tree import Tree


def run(arguments: argparse.Namespace) -> int:
    """Show, or remove, what is dead by both keys; status 0, and 1 if something could not be removed."""
    found = [_describe(tree) for tree in sweep.trees() if sweep.is_abandoned(tree)]
    half = _half_made()
    orphans = sweep.orphans()
    removed = not arguments.yes or all([*(_remove(tree["tree"]) for tree in found), *(sweep.remove_half_made(*path) for path in half)])
    if arguments.yes:
        for orphan in orphans:
            sweep.remove_orphan(orphan)
    rows = sum(tree["rows"] for tree in found)
    if arguments.json:
        names = [f"{runtime}/{token}" for runtime, token in half]
        print(
            json.dumps(
                {
                    "removed": arguments.yes,
                    "rows": rows,
                    "trees": found,
                    "half_made": names,
                    "orphans": [orphan._asdict() for orphan in orphans],
                }
            )
        )
        return 0 if removed else 1
    for tree in found:
        print(f"tree {tree['tree']}: {tree['rows']:,} rows that are in no file")
        for recording in tree["recordings"]:
            where = f", unfinished file {recording['path']}" if recording["path"] else ""
            print(f"  recording {recording['application_id']} / {recording['recording_id']}: {recording['rows']:,} rows{where}")
    for runtime, token in half:
        print(f"tree {token}: its program was killed while it was made ({runtime})")
    for orphan in orphans:
        print(f"tree {orphan.token}: {len(orphan.paths)} segments or spilled files without a tree, {size(orphan.size_bytes)}")
    if not (found or half or orphans):
        print("No killed program left anything.")
    elif arguments.yes:
        print("Removed." if removed else "Not all of it could be removed: somebody uses it again.")
    else:
        advice = "shmrerun recover makes files of the rows; " if rows or any(tree["recordings"] for tree in found) else ""
        print(f"Nothing was removed: {advice}shmrerun clean --yes removes all of this, and {rows:,} rows are lost with it.")
    return 0 if removed else 1


def _describe(tree: Tree) -> dict[str, Any]:
    left = sweep.left_in(tree)
    recordings = [
        {
            "application_id": session.application_id,
            "recording_id": session.recording_id,
            "rows": session.rows,
            "path": session.sink.path if session.sink is not None and session.has_file else None,
        }
        for session in left
    ]
    return {"tree": tree.token, "rows": sum(session.rows for session in left), "recordings": recordings}


def _remove(token: str) -> bool:
    return next((sweep.remove(tree) for tree in sweep.trees() if tree.token == token), True)


def _half_made() -> list[tuple[str, str]]:
    """Directories of trees without a tree segment, or with one that is not ready."""
    there = [runtime for runtime in places.runtimes() if places.is_private(runtime)]
    names = [(runtime, name) for runtime in there for name in sorted(os.listdir(runtime)) if name.isalnum() and name != "spill"]
    return [found for found in names if sweep.remove_half_made(*found, only_look=True)]
