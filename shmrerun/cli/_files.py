"""What the commands on files share: opening them, and telling people why one cannot be read."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from shmrerun.errors import RerunWarning
from shmrerun.rrd.reader import Recording
from shmrerun.rrd.stored import RrdFile

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD, BAD, MISSING = 0, 1, 2


def opened(path: str) -> RrdFile | str:
    """The file, or why there is none."""
    try:
        return RrdFile(path)
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)


def recordings(path: str) -> Iterator[Recording]:
    """All stores of a file, as recordings; what is damaged is said on stderr. OSError, ValueError: there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RerunWarning)
        first = Recording(path)
    for problem in first.problems:
        print(f"{path}: {problem}", file=sys.stderr)
    for store in first.stores:
        yield first if store == first.store else Recording(path, store)
