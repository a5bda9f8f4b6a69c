"""Recording ids."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import uuid

import pytest

from shmrerun.producer import identity

_ORACLE = """
import json, multiprocessing, sys
import rerun
out = []
for key, name in json.loads(sys.argv[1]):
    multiprocessing.current_process().authkey = bytes.fromhex(key)
    rerun.init(name)
    out.append([rerun.get_recording_id(), rerun.get_application_id()])
print(json.dumps(out))
"""


@pytest.mark.skipif(importlib.util.find_spec("rerun") is None, reason="needs rerun-sdk as the oracle")
def test_default_id_equals_the_one_of_rerun():
    """For any authkey and application id the default id and the rewritten name are those of rerun-sdk."""
    cases = [
        ((bytes(range(256)) * 2)[:size].hex(), name)
        for size in (0, 1, 7, 8, 32, 33, 300)
        for name in ("a", "app", "rerun_demo", "Grüße 😀", "x" * 100, "a.b/c", "é23", "y" * 181, "é" * 300)
    ]
    run = subprocess.run([sys.executable, "-c", _ORACLE, json.dumps(cases)], capture_output=True, text=True, check=True)
    ours = [[identity.default_recording_id(name, bytes.fromhex(key)), identity.entry_name(name)] for key, name in cases]
    assert ours == json.loads(run.stdout)


def test_default_authkey_is_the_one_of_the_process():
    """Without an authkey the current process's one is used, and equal calls give the same text object."""
    from multiprocessing import current_process

    got = identity.default_recording_id("app")
    assert got == identity.default_recording_id("app", bytes(current_process().authkey))
    assert got is identity.default_recording_id("app")


def test_other_application_or_authkey_gives_another_id():
    """The id depends on both inputs, and is a version 4 UUID."""
    ids = {identity.default_recording_id(name, key) for name in ("a", "b") for key in (b"x", b"y")}
    assert len(ids) == 4
    assert all(uuid.UUID(text).version == 4 and uuid.UUID(text).variant == uuid.RFC_4122 for text in ids)


def test_application_id_has_to_be_text():
    """An application id that is not a str is an AttributeError, as in rerun-sdk."""
    with pytest.raises(AttributeError):
        identity.default_recording_id(5, b"")  # type: ignore[arg-type]


def test_siphash_of_empty_input_is_the_published_one():
    """SipHash-1-3 with a zero key of no bytes is the value that other implementations give."""
    assert identity.siphash_1_3(b"") == 0xD1FBA762150C532C


@pytest.mark.parametrize(
    ("value", "text"),
    [("", ""), ("a b", "a b"), (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"), (5, "5"), (None, "None")],
)
def test_given_ids_become_text(value, text):
    """A str is taken as it is, a UUID is written with dashes, anything else goes through str."""
    assert identity.recording_id_text(value) == text
