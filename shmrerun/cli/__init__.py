"""The command line: ``shmrerun demo``, ``ps`` and ``wait``; one file a command."""
