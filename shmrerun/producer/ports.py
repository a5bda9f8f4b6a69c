"""TCP ports of this machine: who answers, and what is free. Loopback only."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def answers(port: int, seconds: float = 1.0) -> bool:
    """Whether something listens on a port of this machine. A connection is made, and closed."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=seconds) as found:
            return bool(found.getsockname() != found.getpeername())  # a connection to itself is none
    except OSError:
        return False


def proxy_url(port: int) -> str:
    """Address of a viewer's or server's message proxy."""
    return f"rerun+http://{LOOPBACK}:{port}/proxy"


def check_port(port: int, name: str, *, least: int = 1) -> int:
    """A port as a number. TypeError: it is none; ValueError: out of range."""
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"{name} must be an int, got {type(port).__name__}")
    if not least <= port <= 65535:
        raise ValueError(f"{name} must be {least} to 65535, got {port}")
    return port
