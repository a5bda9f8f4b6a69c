"""Python's ``logging`` into a recording. Source: rerun-sdk 0.41's behaviour."""

from __future__ import annotations

import logging

import shmrerun

_LEVELS = {
    logging.CRITICAL: "CRITICAL",
    logging.ERROR: "ERROR",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBUG",
}


class LoggingHandler(logging.Handler):
    """Logs each record as a ``TextLog`` at ``<path_prefix>/<module>``.

    Parameters
    ----------
    path_prefix
        Entity path above the module's name, or None.

    Notes
    -----
    In any process: a worker's records go where its parent's rows go. Errors go to ``logging``'s own ``handleError``.
    """

    LVL2NAME = _LEVELS

    def __init__(self, path_prefix: str | None = None) -> None:
        super().__init__()
        self.path_prefix = path_prefix

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        try:
            path = f"{self.path_prefix}/{record.module}" if self.path_prefix else record.module
            level = _LEVELS.get(record.levelno, record.levelname)
            shmrerun.log(path, shmrerun.TextLog(record.getMessage(), level=level))
        except Exception:
            self.handleError(record)
