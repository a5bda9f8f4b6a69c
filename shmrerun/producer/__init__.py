"""The logging side of a process."""
