"""``python -m shmrerun``: the command line."""

from shmrerun.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
