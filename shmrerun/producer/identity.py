"""Recording ids: the default one that all processes of a program derive alike, and the text of given ones.

The default id is a function of ``multiprocessing``'s authkey, which fork, spawn and forkserver children inherit, and of
the application id. It is bit for bit the one that rerun-sdk's ``init`` derives, so a process that uses this package and
one that uses rerun-sdk agree on the recording.

Source: observed on rerun-sdk 0.41.0 (SipHash-1-3, the PCG-32 seed expansion of the ``rand`` crate, ChaCha12, UUID 4).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_SALT = 0xAB12_CD34_EF56_0178  # sets recording ids apart from other uses of the authkey
_U32 = 0xFFFF_FFFF
_U64 = 0xFFFF_FFFF_FFFF_FFFF
_CHACHA_CONSTANT = b"expand 32-byte k"
_ENTRY_SIZE = 180
_ENTRY_CHARACTERS = frozenset("-_:[] 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

_cache: dict[tuple[bytes, str], str] = {}


def default_recording_id(application_id: str, authkey: bytes | None = None) -> str:
    """Derive the recording id that a process tree uses for an application when the user gives none.

    Parameters
    ----------
    application_id : str
        Name of the application; any text that UTF-8 can carry.
    authkey : bytes, optional
        Any length. Default: the name of the tree if ``SHMRERUN_TREE`` gives one, else the authkey of the current process.

    Returns
    -------
    str
        A version 4 UUID as 32 lower-case hex digits without dashes.

    Raises
    ------
    AttributeError
        ``application_id`` is not a str.
    UnicodeEncodeError
        ``application_id`` holds a lone surrogate.

    Notes
    -----
    About 0.2 ms the first time, a dict lookup afterwards. Thread safe.
    """
    if authkey is None and (name := os.environ.get("SHMRERUN_TREE")):
        authkey = b"SHMRERUN_TREE\0" + os.fsencode(name)  # processes that share a tree by its name have authkeys of their own
    if authkey is None:
        from multiprocessing import current_process

        authkey = current_process().authkey
    key = (bytes(authkey), application_id)
    found = _cache.get(key)
    if found is None:
        text = entry_name(application_id).encode()
        seed = siphash_1_3(
            len(key[0]).to_bytes(8, "little") + key[0] + _SALT.to_bytes(8, "little") + text + b"\xff",
        )
        found = _cache[key] = _uuid4_hex(_chacha12_low_bytes(_expand_seed(seed)))
    return found


def entry_name(application_id: str) -> str:
    """Return the application id as rerun-sdk 0.41 rewrites it before using it anywhere, for the default id too.

    Up to 180 ASCII letters, digits and characters of ``-_:[] `` (with the space) stay as they are. Otherwise any other
    character becomes ``-``, at most 176 are kept, and the low 16 bits of the text's XXH64 follow as 4 hex digits.

    Raises
    ------
    AttributeError
        ``application_id`` is not a str.
    UnicodeEncodeError
        ``application_id`` holds a lone surrogate.

    Examples
    --------
    >>> entry_name("my app"), entry_name("a.b")
    ('my app', 'a-bed56')
    """
    raw = application_id.encode()
    if len(application_id) <= _ENTRY_SIZE and _ENTRY_CHARACTERS.issuperset(application_id):
        return application_id
    import xxhash

    kept = "".join(c if c in _ENTRY_CHARACTERS else "-" for c in application_id[: _ENTRY_SIZE - 4])
    return f"{kept}{xxhash.xxh64_intdigest(raw) & 0xFFFF:04x}"


def recording_id_text(value: Any) -> str:
    """Return the text under which a given recording id is written.

    Parameters
    ----------
    value : str, uuid.UUID or object
        A str is taken as it is, also ``""``; a UUID becomes its dashed form; anything else goes through ``str()``.
    """
    return value if type(value) is str else str(value)


def _rotate_left(value: int, count: int, bits: int) -> int:
    return ((value << count) | (value >> (bits - count))) & ((1 << bits) - 1)


def siphash_1_3(data: bytes) -> int:
    """Hash ``data`` with SipHash-1-3 and an all-zero key; the result is an unsigned 64-bit int."""
    state = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]

    def mix(rounds: int) -> None:
        v0, v1, v2, v3 = state
        for _ in range(rounds):
            v0 = (v0 + v1) & _U64
            v1 = _rotate_left(v1, 13, 64) ^ v0
            v0 = _rotate_left(v0, 32, 64)
            v2 = (v2 + v3) & _U64
            v3 = _rotate_left(v3, 16, 64) ^ v2
            v0 = (v0 + v3) & _U64
            v3 = _rotate_left(v3, 21, 64) ^ v0
            v2 = (v2 + v1) & _U64
            v1 = _rotate_left(v1, 17, 64) ^ v2
            v2 = _rotate_left(v2, 32, 64)
        state[:] = v0, v1, v2, v3

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])  # the last word ends in the length's low byte
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        state[3] ^= word
        mix(1)
        state[0] ^= word
    state[2] ^= 0xFF
    mix(3)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _expand_seed(seed: int) -> bytes:
    """Stretch 64 bits to a 32-byte key by eight PCG-32 outputs, each taken after its step."""
    key = b""
    for _ in range(8):
        seed = (seed * 6364136223846793005 + 11634580027462260723) & _U64
        word = (((seed >> 18) ^ seed) >> 27) & _U32
        key += _rotate_left(word, -(seed >> 59) % 32, 32).to_bytes(4, "little")
    return key


def _chacha12_low_bytes(key: bytes) -> bytes:
    """Low byte of each of the 16 words of ChaCha12's first block (counter 0, nonce 0)."""
    block = _CHACHA_CONSTANT + key + bytes(16)
    start = [int.from_bytes(block[at : at + 4], "little") for at in range(0, 64, 4)]
    x = start[:]

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for target, source, partner, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[target] = (x[target] + x[source]) & _U32
            x[partner] = _rotate_left(x[partner] ^ x[target], turn, 32)

    for _ in range(6):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for column in range(4):
            quarter(column, (column + 1) % 4 + 4, (column + 2) % 4 + 8, (column + 3) % 4 + 12)
    return bytes((word + first) & 0xFF for word, first in zip(x, start, strict=True))


def _uuid4_hex(raw: bytes) -> str:
    """Force version 4 and the RFC 4122 variant on 16 bytes and write them as hex."""
    out = bytearray(raw)
    out[6] = (out[6] & 0x0F) | 0x40
    out[8] = (out[8] & 0x3F) | 0x80
    return out.hex()
