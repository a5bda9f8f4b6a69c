"""Filters of the rows of a table: conditions on one column, in the SQL that the viewer shows as filters that can be edited.

Source: rerun-sdk 0.41, SQL as observed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable
    from typing import Any

_ITEM = "x"  # what a value of a list is called in SQL


@dataclass(frozen=True)
class Filter:
    """A condition on the rows of a table.

    Parameters
    ----------
    sql : str
        An expression of DataFusion's SQL that is true for the rows that are shown; names of columns stand in double quotes.

    Raises
    ------
    TypeError
        Not a str; also where a filter is used as a truth value (``and``, ``or``, ``not``).
    ValueError
        Nothing but white space.
    """

    sql: str

    def __post_init__(self) -> None:
        if not isinstance(self.sql, str):
            raise TypeError(f"A filter's sql is a str, got {type(self.sql).__name__}")
        if not self.sql.strip():
            raise ValueError("A filter's sql must not be empty")

    def __bool__(self) -> bool:
        raise TypeError("A filter is neither true nor false: give several as a list instead of `and`, and use `ne` and its like for `not`")

    def __str__(self) -> str:
        return self.sql


def _name(text: str) -> str:
    """Spell the name of a column in SQL."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _literal(text: str) -> str:
    """Spell a text in SQL."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _number(value: Any) -> str:
    """Spell a number in SQL, which has no literals for infinity and NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(
            f"A column is compared with a number, got {type(value).__name__}. Other columns have is_true, before, str.contains, ..."
        )
    if isinstance(value, int) or math.isfinite(value):
        return repr(value)
    return f"CAST({_literal('NaN' if math.isnan(value) else repr(value))} AS DOUBLE)"


def _time(value: Any) -> str:
    """Spell a time in SQL; one without a zone is UTC."""
    if not isinstance(value, datetime):
        raise TypeError(f"A time is given as a datetime, got {type(value).__name__}")
    utc = (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).astimezone(UTC).replace(tzinfo=None)
    return f"TIMESTAMPTZ {_literal(utc.isoformat() + 'Z')}"


def _not(found: Filter) -> Filter:
    """Return the filter of the other rows, those without a value among them."""
    return Filter(f"({found.sql}) IS NOT TRUE")


_DAY, _WEEK = "date_trunc('day', now())", "date_trunc('week', now())"
_PERIODS = {  # name: beginning and end
    "last_24_hours": ("now() - INTERVAL '24 hours'", "now()"),
    "last_week": (f"{_WEEK} - INTERVAL '7 days'", _WEEK),
    "this_week": (_WEEK, f"{_WEEK} + INTERVAL '7 days'"),
    "today": (_DAY, f"{_DAY} + INTERVAL '1 day'"),
    "yesterday": (f"{_DAY} - INTERVAL '1 day'", _DAY),
}


class _Conditions:
    """Conditions on the values of a column, or on any value of its lists."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str, *, is_list: bool) -> None:
        self._name = name
        self._is_list = is_list

    def _filter(self, condition: Callable[[builtins.str], builtins.str]) -> Filter:
        """Return the filter of a condition on one value, given how that is called in SQL."""
        column = _name(self._name)
        return Filter(f"any_match({column}, {_ITEM} -> {condition(_ITEM)})" if self._is_list else condition(column))

    def _compare(self, sign: builtins.str, other: builtins.str) -> Filter:
        return self._filter(lambda value: f"{value} {sign} {other}")

    def _within(self, low: builtins.str, high: builtins.str) -> Filter:
        return self._filter(lambda value: f"{value} >= {low} AND {value} < {high}")

    def eq(self, value: float) -> Filter:
        """Rows whose number is this one; ``col(...) == value``."""
        return self._compare("=", _number(value))

    def ne(self, value: float) -> Filter:
        """All other rows; ``col(...) != value``."""
        return _not(self.eq(value))

    def lt(self, value: float) -> Filter:
        """Rows whose number is lower; ``col(...) < value``."""
        return self._compare("<", _number(value))

    def le(self, value: float) -> Filter:
        """Rows whose number is not higher; ``col(...) <= value``."""
        return self._compare("<=", _number(value))

    def gt(self, value: float) -> Filter:
        """Rows whose number is higher; ``col(...) > value``."""
        return self._compare(">", _number(value))

    def ge(self, value: float) -> Filter:
        """Rows whose number is not lower; ``col(...) >= value``."""
        return self._compare(">=", _number(value))

    def __eq__(self, value: float) -> Filter:  # type: ignore[override]
        return self.eq(value)

    def __ne__(self, value: float) -> Filter:  # type: ignore[override]
        return self.ne(value)

    def __lt__(self, value: float) -> Filter:
        return self.lt(value)

    def __le__(self, value: float) -> Filter:
        return self.le(value)

    def __gt__(self, value: float) -> Filter:
        return self.gt(value)

    def __ge__(self, value: float) -> Filter:
        return self.ge(value)

    def is_true(self) -> Filter:
        """Rows whose value is true."""
        return self._compare("=", "true")

    def is_false(self) -> Filter:
        """Rows whose value is false."""
        return self._compare("=", "false")

    def is_not_true(self) -> Filter:
        """Rows whose value is false, or that have none."""
        return _not(self.is_true())

    def is_not_false(self) -> Filter:
        """Rows whose value is true, or that have none."""
        return _not(self.is_false())

    def is_null(self) -> Filter:
        """Rows without a value: for lists, without a list, with an empty one, or with one that lacks a value."""
        found = self._filter(lambda value: f"{value} IS NULL")
        if not self._is_list:
            return found
        some = self._filter(lambda _: "true")
        return Filter(f"{_name(self._name)} IS NULL OR NOT {some.sql} OR {found.sql}")

    def is_not_null(self) -> Filter:
        """Rows with a value."""
        return _not(self.is_null())

    def before(self, timestamp: datetime) -> Filter:
        """Rows before a time; one without a zone is UTC."""
        return self._compare("<", _time(timestamp))

    def after(self, timestamp: datetime) -> Filter:
        """Rows at a time or after it."""
        return self._compare(">=", _time(timestamp))

    def between(self, start: datetime, end: datetime) -> Filter:
        """Rows from a time on, up to another one that is not included."""
        return self._within(_time(start), _time(end))

    def today(self) -> Filter:
        """Rows of today, in the time zone of the viewer's session."""
        return self._within(*_PERIODS["today"])

    def yesterday(self) -> Filter:
        """Rows of yesterday."""
        return self._within(*_PERIODS["yesterday"])

    def last_24_hours(self) -> Filter:
        """Rows of the last 24 hours."""
        return self._within(*_PERIODS["last_24_hours"])

    def this_week(self) -> Filter:
        """Rows of this week."""
        return self._within(*_PERIODS["this_week"])

    def last_week(self) -> Filter:
        """Rows of last week."""
        return self._within(*_PERIODS["last_week"])

    def not_between(self, start: datetime, end: datetime) -> Filter:
        """Rows that ``between`` leaves out."""
        return _not(self.between(start, end))

    def not_today(self) -> Filter:
        """Rows that ``today`` leaves out."""
        return _not(self.today())

    def not_yesterday(self) -> Filter:
        """Rows that ``yesterday`` leaves out."""
        return _not(self.yesterday())

    def not_last_24_hours(self) -> Filter:
        """Rows that ``last_24_hours`` leaves out."""
        return _not(self.last_24_hours())

    def not_this_week(self) -> Filter:
        """Rows that ``this_week`` leaves out."""
        return _not(self.this_week())

    def not_last_week(self) -> Filter:
        """Rows that ``last_week`` leaves out."""
        return _not(self.last_week())

    @property
    def str(self) -> StringFilters:
        """Conditions on texts."""
        return StringFilters(self)


class FilterColumn(_Conditions):
    """A column, to compare and ask: what that gives is a :class:`Filter`. :func:`col` makes one.

    Parameters
    ----------
    name : str
        Of the column, as Arrow has it.

    Raises
    ------
    TypeError, ValueError
        Not a str, or an empty one.
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"A column's name is a str, got {type(name).__name__}")
        if not name:
            raise ValueError("A column's name must not be empty")
        super().__init__(name, is_list=False)

    def __repr__(self) -> builtins.str:
        return f"col({self._name!r})"

    @property
    def list(self) -> ListFilters:
        """Conditions on the values of lists: one of them has to meet it."""
        return ListFilters(self._name)


class ListFilters(_Conditions):
    """A column of lists: a row is shown if any value of its list meets the condition.

    Parameters
    ----------
    name : str
        Of the column.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, is_list=True)

    def __repr__(self) -> builtins.str:
        return f"col({self._name!r}).list"


class StringFilters:
    """A column of texts; upper and lower case are the same, and nothing is a pattern.

    Parameters
    ----------
    column : FilterColumn or ListFilters
        The column.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, column: _Conditions) -> None:
        self._column = column

    def __repr__(self) -> str:
        return f"{self._column!r}.str"

    def contains(self, text: str) -> Filter:
        """Rows with this text somewhere in theirs."""
        return self._like("%", text, "%")

    def does_not_contain(self, text: str) -> Filter:
        """All other rows."""
        return _not(self.contains(text))

    def starts_with(self, text: str) -> Filter:
        """Rows whose text begins with this one."""
        return self._like("", text, "%")

    def ends_with(self, text: str) -> Filter:
        """Rows whose text ends with this one."""
        return self._like("%", text, "")

    def _like(self, before: str, text: str, behind: str) -> Filter:
        if not isinstance(text, str):
            raise TypeError(f"A text is looked for, got {type(text).__name__}")
        if not text:
            raise ValueError("The text that is looked for must not be empty")
        escaped = "".join(f"\\{letter}" if letter in "%_\\" else letter for letter in text)
        escape = "" if escaped == text else f" ESCAPE {_literal(chr(92))}"
        pattern = _literal(f"{before}{escaped}{behind}")
        return self._column._filter(lambda value: f"{value} ILIKE {pattern}{escape}")


def col(name: str) -> FilterColumn:
    r"""Return a column to make a filter of.

    Examples
    --------
    >>> str(col("score") >= 3), str(col("task").str.contains("pick"))
    ('"score" >= 3', '"task" ILIKE \'%pick%\'')
    """
    return FilterColumn(name)
