"""Ways to get rows of many processes into files: one a file, all with the interface of ``base.Peer``."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers.base import Peer

NAMES = (
    "shmrerun",
    "rerun_merge",
    "rerun_server",
    "queue_rerun",
    "queue_mcap",
    "queue_foxglove",
    "queue_logging",
    "tensorboard",
    "write",
    "write_fsync",
    "memcpy",
)
LIMITS = ("write", "write_fsync", "memcpy")  # no peers: what the machine can do with the same bytes


def peer(name: str) -> type[Peer]:
    """Return the class of a peer; nothing of what it needs is imported."""
    module = "limits" if name in LIMITS else name
    found: type[Peer] = getattr(import_module(f"peers.{module}"), "".join(word.title() for word in name.split("_")))
    return found


def missing(name: str) -> list[str]:
    """Return the modules that a peer needs and that are not installed."""
    return [module for module in peer(name).needs if importlib.util.find_spec(module) is None]


def of_case(case: str) -> tuple[str, ...]:
    """Return the peers that can log this kind of value."""
    return tuple(name for name in NAMES if case in peer(name).cases)
