"""The memory layout as numbers: a change of it must be meant."""

import json
from pathlib import Path

from shmrerun import _core

GOLDEN = Path(__file__).parent.parent / "golden" / "layout.json"


def test_layout_is_the_golden_one():
    """Offsets, sizes and numbers of layout.h are those of this version; a change bumps LAYOUT_VERSION, this file and the changelog."""
    assert json.loads(GOLDEN.read_text()) == _core.LAYOUT, f"if the change is meant: {GOLDEN.name} is json.dumps(_core.LAYOUT, indent=1)"
