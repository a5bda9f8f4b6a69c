"""Every test leaves the machine as it found it: no segment, file, directory, socket or process of ours.

Each run, and each worker of xdist, has a runtime directory of its own, and sees nothing of other runs or programs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile

import helpers
import hypothesis
import pytest
from helpers import describe, is_gone, processes, stacks

from shmrerun.shm import places
from shmrerun.testing import Leftovers, leftovers, load, trees, wait_until

FINISH_SECONDS = 20.0

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a job in the background of a script: what tests start would ignore Ctrl-C, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run; HYPOTHESIS_PROFILE=search looks for new ones.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(autouse=True, scope="session")
def own_place():
    """Give this run a runtime directory of its own, and its processes a mark."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="shmrerun-suite-") as directory:
        os.environ |= {helpers.RUNTIME: directory, helpers.MARK: f"{helpers.RUN}:"}
        yield
        for name in (helpers.RUNTIME, helpers.MARK):
            os.environ.pop(name)
            os.environ |= {name: before[name]} if name in before else {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Give a test more time where the machine has more to do than it can."""
    marker = item.get_closest_marker("timeout")
    seconds = marker.args[0] if marker is not None else float(item.config.getini("timeout"))
    item.add_marker(pytest.mark.timeout(max(seconds, seconds * load() * 1.5)), append=False)
    return (yield)


def _sockets():
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
            return {line.split()[-1] for line in file if os.environ[helpers.RUNTIME] in line}
    except OSError:
        return set()


def _spilled():
    """What programs with a /dev/shm of their own left in the temporary directory."""
    prefix = "shmrerun-" + places.prefix_of(helpers.private_shm(os.environ[helpers.RUNTIME]))
    found = set()
    for place in places.spills():
        try:
            found |= {f"{place}/{name}" for name in os.listdir(place) if name.startswith(prefix)}
        except FileNotFoundError:  # the last program that used it has ended
            continue
    return found


def _now():
    found = leftovers()
    files = found.files | _sockets() | _spilled()
    return Leftovers(files, frozenset(p for p in (*found.processes, *processes()) if not is_gone(p)))


@pytest.fixture(autouse=True)
def leaves_nothing_behind(own_place):
    """Prove that a test left nothing behind; aggregators get a moment to finish. What is left is removed: the next one would say it."""
    before = _now()
    helpers.trees_before = set(trees())
    yield
    try:
        wait_until(lambda: not _now().since(before), FINISH_SECONDS, "nothing of the test is left")
    except TimeoutError as error:
        left = _now().since(before)
        report = f"{error}\n{left}\n{stacks(left.processes)}\n{describe()}"
        for pid in left.processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run([sys.executable, "-m", "shmrerun", "clean", "--yes"], capture_output=True, timeout=60, check=False)
        pytest.fail(report, pytrace=False)
