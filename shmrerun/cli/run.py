"""``shmrerun run``: a command whose processes log into one tree, whoever starts them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

TREE_VARIABLE = "SHMRERUN_TREE"


def run(arguments: argparse.Namespace) -> int:
    """Become the command, with the tree's name in its environment. Returns only if it cannot be run: status 127 or 126."""
    words = arguments.words
    name = arguments.name or f"run-{os.getpid()}-{os.urandom(6).hex()}"
    environment = {**os.environ, TREE_VARIABLE: name}
    environment.pop("SHMRERUN_PARENT", None)  # the command's processes follow one another, not whoever started us
    sys.stdout.flush()
    try:
        os.execvpe(words[0], words, environment)  # noqa: S606 - the user's command, by its words
    except FileNotFoundError:
        print(f"shmrerun: there is no such command: {words[0]}", file=sys.stderr)
        return 127
    except OSError as error:
        print(f"shmrerun: cannot run {words[0]}: {error.strerror}", file=sys.stderr)
        return 126
