"""The standard library's logging: ``QueueHandler`` in the workers, one process with a ``FileHandler``."""

from __future__ import annotations

import logging
import logging.handlers
import os
from typing import TYPE_CHECKING, Any

from peers.queue_writer import QueueWriter
from subject import durable
from values import TEXT

if TYPE_CHECKING:
    from peers.base import Finish, Log
    from peers.queue_writer import Write


class QueueLogging(QueueWriter):
    """What the logging cookbook says: the listener is a process of its own, which handles one record after the other."""

    title = "logging, QueueHandler to one FileHandler"
    stores = "one text file: time, logger, level, step, text, a line each"
    cases = ("text",)

    @staticmethod
    def open(link: Any, case: str, number: int) -> tuple[Log, Finish]:
        logger = logging.getLogger(f"bench/{number}")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(logging.handlers.QueueHandler(link))

        def log(path: str, step: int) -> None:
            logger.info(TEXT, extra={"step": step})

        def finish() -> None:
            link.put(None)
            link.close()
            link.join_thread()

        return log, finish

    @classmethod
    def first(cls, case: str) -> Any:
        return logging.makeLogRecord({"name": "warm", "levelname": "INFO", "msg": TEXT, "step": 0})

    @staticmethod
    def writing(path: str, case: str) -> tuple[Write, Finish]:
        handler = logging.FileHandler(path)
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(step)d %(message)s"))

        def close() -> None:
            handler.close()
            durable(path)

        return handler.handle, close

    def files(self) -> list[str]:
        return [os.path.join(self.directory, "all.log")]

    def rows(self) -> int:
        with open(self.files()[0], encoding="utf-8") as file:
            return sum(" bench/" in line and line.endswith(TEXT + "\n") for line in file)
