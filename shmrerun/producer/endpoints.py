"""Texts that name where live data goes: proxy URLs, and limits of memory. Source: behaviour of rerun-sdk 0.41."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

DEFAULT_PORT = 9876
DEFAULT_URL = f"rerun+http://127.0.0.1:{DEFAULT_PORT}/proxy"
_SCHEMES = {"rerun": True, "rerun+http": False, "rerun+https": True}  # and whether it is by TLS
_UNITS = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class Endpoint(NamedTuple):
    """Where a viewer or server listens."""

    host: str
    port: int
    tls: bool


def parse_url(url: str) -> Endpoint:
    """Take a proxy URL apart: ``rerun+http://HOST:PORT/proxy``, ``rerun://`` and ``rerun+https://`` for TLS.

    RuntimeError: it is not one. TypeError: not a str.
    """
    from urllib.parse import urlsplit

    if not isinstance(url, str):
        raise TypeError(f"argument 'url': '{type(url).__name__}' object is not an instance of 'str'")
    scheme, found, _ = url.partition("://")
    if (not found and not re.match(r"[\w.-]+:\d", url)) or (found and scheme not in _SCHEMES):
        raise _invalid(url, "Invalid or missing scheme (expected one of: `rerun://`, `rerun+http://`, `rerun+https://`)")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid(url, "invalid port number") from None
    if not found or parts.path.rstrip("/") != "/proxy":
        raise _invalid(url, f"Unexpected URI:: {url} (a proxy's path is /proxy)")
    if not parts.hostname:
        raise _invalid(url, "empty host")
    tls = _SCHEMES[scheme]
    if port is None:
        is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        port = DEFAULT_PORT if is_here else 443 if tls else 80
    return Endpoint(parts.hostname, port, tls)


def _invalid(url: str, why: str) -> RuntimeError:
    return RuntimeError(f'invalid endpoint "{url}": {why}')


def parse_memory(text: str, name: str = "server_memory_limit") -> int:
    """Bytes of ``4GB``, ``1GiB`` or ``25%`` (of the machine's memory). RuntimeError: it is neither."""
    if not isinstance(text, str):
        raise TypeError(f"argument '{name}': '{type(text).__name__}' object is not an instance of 'str'")
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*(%|[A-Za-z]*)\s*", text)
    if found and found[2] == "%":
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * float(found[1]) / 100)
    if not found or found[2] not in _UNITS or (not found[2] and float(found[1])):
        raise RuntimeError(f"Bad {name}: {text!r}. Expected a size such as '4GB' or '1GiB', or a part of the memory such as '25%'")
    return int(float(found[1]) * _UNITS[found[2]])
