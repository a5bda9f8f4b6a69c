"""Rerun's name for what programs need of :mod:`shmrerun.errors`: the class of its warnings, and strict mode."""

from shmrerun.errors import RerunWarning, set_strict_mode, strict_mode

__all__ = ["RerunWarning", "set_strict_mode", "strict_mode"]
