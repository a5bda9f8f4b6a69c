"""Every test leaves the machine as it found it: no segment, file, directory, socket or process of ours."""

from __future__ import annotations

import os

import helpers
import hypothesis
import pytest
from helpers import describe, is_gone, processes, stacks

from shmrerun.testing import Leftovers, leftovers, trees, wait_until

FINISH_SECONDS = 10.0

# The same examples in every run; HYPOTHESIS_PROFILE=search looks for new ones.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def _sockets():
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
            return {line.split()[-1] for line in file if "shmrerun" in line}
    except OSError:
        return set()


def _now():
    found = leftovers()
    return Leftovers(found.files | _sockets(), frozenset(p for p in (*found.processes, *processes()) if not is_gone(p)))


@pytest.fixture(autouse=True)
def leaves_nothing_behind():
    """Prove that a test left nothing behind; aggregators get a moment to finish, nothing is killed."""
    before = _now()
    helpers.trees_before = set(trees())
    yield
    try:
        wait_until(lambda: not _now().since(before), FINISH_SECONDS, "nothing of the test is left")
    except TimeoutError as error:
        left = _now().since(before)
        pytest.fail(f"{error}\n{left}\n{stacks(left.processes)}\n{describe()}", pytrace=False)
