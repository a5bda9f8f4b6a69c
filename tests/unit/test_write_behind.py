"""Files on their way to the device while they are written."""

import os

from shmrerun.aggregator.write_behind import STEP_BYTES, WriteBehind
from shmrerun.testing import wait_until


def ours(path):
    """Descriptors of this process that a file is open by."""
    names = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return [name for name in names if os.path.lexists(name) and os.readlink(name) == str(path)]


def test_no_descriptor_is_kept(tmp_path):
    """Each step has a descriptor of its own, closed when it is done; the caller may close its own at once, or have none any more."""
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    behind = WriteBehind()
    for step in range(40):
        os.pwrite(fd, b"x" * 4096, step * STEP_BYTES)
        behind.begin(fd, step * STEP_BYTES, (step + 1) * STEP_BYTES)
    os.close(fd)
    behind.begin(fd, 0, STEP_BYTES)
    wait_until(lambda: not ours(path), 60, "its descriptors are closed")
    assert path.stat().st_size == 39 * STEP_BYTES + 4096
