"""Entity paths."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shmrerun import errors
from shmrerun.model import entity_paths

TEXT = st.text(max_size=24) | st.text(alphabet="ab/\\ {}u0149fF._-\n\té\u00a0\u0301ि", max_size=24)


@pytest.fixture(scope="module")
def oracle():
    """Return what tells the canonical text that rerun-sdk gives a path that is a str."""
    rerun = pytest.importorskip("rerun")
    chunk = pytest.importorskip("rerun.chunk")
    columns = list(rerun.Scalars.columns(scalars=[1.0]))
    return lambda path: chunk.Chunk.from_columns(path, indexes=[], columns=columns).entity_path


@given(path=TEXT)
@settings(max_examples=2000, deadline=None)
def test_parse_equals_rerun(oracle, path):
    """Any str is taken as the entity that rerun-sdk takes it as, in the same canonical text."""
    assert entity_paths.canonical(path) == oracle(path)


@pytest.mark.parametrize(
    "path",
    [
        r"\u{e9}",
        r"\u{zz}",
        r"\u{110000}",
        r"\u{d800}",
        r"\u{12",
        r"\u{}",
        r"\u",
        r"\u x",
        r"\u{1 2 3 4 5 6 7 8 9 }",
        r"\u{123456\q}",
        r"\u{1234567\n}",
        r"\u{0000041}",
        r"\u{000041}",
        r"\ux \q",
        r"a\/",
        r"\é",
        r"/ /",
        r"a\\/b",
        r"\\\\/x",
        r"x\\//",
        r"\u{5c}/x",
        "a\\",
    ],
)
def test_odd_escapes_equal_rerun(oracle, path):
    """Escapes that are wrong in some way are taken as rerun-sdk takes them."""
    assert entity_paths.canonical(path) == oracle(path)


def test_every_character_is_escaped_as_by_rerun():
    """Each code point that is assigned in this Python's Unicode is escaped as rerun-sdk escapes it."""
    import unicodedata

    rerun = pytest.importorskip("rerun")
    codes = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cs", "Cn")]
    wrong = [c for c in codes if entity_paths.escape_entity_path_part(chr(c)) != rerun.escape_entity_path_part(chr(c))]
    assert wrong == []


@given(parts=st.lists(TEXT | st.integers() | st.none(), max_size=4))
def test_new_entity_path_equals_rerun(parts):
    """A path of parts is joined and escaped as by rerun-sdk."""
    rerun = pytest.importorskip("rerun")
    assert entity_paths.new_entity_path(parts) == rerun.new_entity_path(parts)


@given(path=TEXT)
def test_canonical_text_is_a_fixed_point(path):
    """The canonical text of a canonical text is itself, but where a part ends in a backslash (no text says that)."""
    once = entity_paths.canonical(path)
    assume("\\\\/" not in once)
    assert entity_paths.canonical(once) == once


@given(parts=st.lists(TEXT, max_size=4))
def test_list_is_one_part_an_item(oracle, parts):
    """A list names the entity that its joined parts name; nothing in an item splits it."""
    assert entity_paths.canonical(parts) == oracle(entity_paths.new_entity_path(parts))


@pytest.mark.parametrize(("path", "shown"), [(("a",), "'tuple' object"), (b"a", "'bytes' object"), (5, "'int' object"), (None, "'None'")])
def test_other_types_are_refused(path, shown):
    """A path that is neither str nor list is a TypeError that names its type."""
    with pytest.raises(TypeError, match=f"argument 'entity_path': {shown} is not an instance of 'str'"):
        entity_paths.canonical(path)


@pytest.mark.parametrize("part", [5, None])
def test_parts_to_escape_are_text(part):
    """A part that is not a str is a TypeError."""
    with pytest.raises(TypeError, match="argument 'part'"):
        entity_paths.escape_entity_path_part(part)


@pytest.mark.parametrize("path", ["\ud800", ["\ud800"]])
def test_lone_surrogates_are_refused(path):
    """A path that UTF-8 cannot carry is a UnicodeEncodeError, and is not remembered."""
    for _ in range(2):
        with pytest.raises(UnicodeEncodeError):
            entity_paths.canonical(path)


def test_oddities_are_told_once_a_path(capfd):
    """Unescaped whitespace and unknown escapes are told on stderr, once for each path."""
    errors._said.clear()
    for _ in range(3):
        entity_paths._cache.clear()
        entity_paths.canonical(r"one two/\q")
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("shmrerun: entity path ")
    assert "unescaped whitespace; unknown escape" in err


def test_cache_is_bounded(monkeypatch):
    """The cache of str paths never holds more than its limit."""
    monkeypatch.setattr(entity_paths, "_CACHE_SIZE", 10)
    monkeypatch.setattr(entity_paths, "_cache", {})
    for n in range(100):
        assert entity_paths.canonical(f"a{n}") == f"/a{n}"
        assert len(entity_paths._cache) <= 10
