"""Types: the committed stubs are current, and users' code type-checks as it should."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
spec = importlib.util.spec_from_file_location("make_stubs", os.path.join(HERE, "make_stubs.py"))
assert spec is not None
assert spec.loader is not None
make_stubs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_stubs)
STUBS = make_stubs.stubs()


@pytest.mark.parametrize("path", sorted(STUBS), ids=lambda path: os.path.relpath(path, ROOT))
def test_stub_is_current(path):
    """The committed stub is what the tables give; ``python tests/typing/make_stubs.py --write`` makes it so."""
    with open(path, encoding="utf-8") as file:
        assert file.read() == STUBS[path]


def test_user_code_passes_mypy(tmp_path):
    """mypy --strict accepts every line of the users' code but those marked as errors, which it refuses."""
    pytest.importorskip("mypy")
    source = os.path.join(HERE, "user_code.py")
    shutil.copy(source, tmp_path)  # away from the checkout: the package is found as users' checkers find it
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache")]
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\n[mypy-pyarrow.*,posix_ipc,xxhash,google.*,cloudpickle]\nignore_missing_imports = True\n")
    run = subprocess.run(
        [*command, "--config-file", str(config), "user_code.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    got = {(int(line), code) for line, code in re.findall(r"user_code\.py:(\d+): error: .*\[([a-z-]+)\]$", run.stdout, re.MULTILINE)}
    with open(source, encoding="utf-8") as file:
        want = {
            (number, match[1]) for number, line in enumerate(file, start=1) if (match := re.search(r"# error: ([a-z-]+)$", line.rstrip()))
        }
    assert got == want, run.stdout + run.stderr
    others = [line for line in run.stdout.splitlines() if ": error:" in line and "user_code.py" not in line]
    assert not others


@pytest.mark.timeout(300)  # the first run fetches pyright's program
def test_user_code_passes_pyright(tmp_path):
    """pyright, strict, refuses the same lines of the users' code as mypy and no other."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", str(tmp_path)]
    pytest.importorskip("pyright")
    try:
        known = subprocess.run([*command[:3], "--version"], capture_output=True, text=True, check=False, timeout=1000).returncode == 0
    except subprocess.TimeoutExpired:
        known = False
    if not known:
        pytest.skip("pyright is installed but cannot fetch its program")
    shutil.copy(os.path.join(HERE, "user_code.py"), tmp_path)
    settings = {
        "include": ["user_code.py"],
        "typeCheckingMode": "strict",
        "reportUnknownMemberType": False,
    }  # pyarrow has no types
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    run = subprocess.run([*command, "--outputjson"], capture_output=True, text=True, check=False)
    found = json.loads(run.stdout)["generalDiagnostics"]
    got = {one["range"]["start"]["line"] + 1 for one in found if one["severity"] == "error"}
    with open(tmp_path / "user_code.py", encoding="utf-8") as file:
        want = {number for number, line in enumerate(file, start=1) if re.search(r"# error: [a-z-]+$", line.rstrip())}
    assert got == want, "\n".join(f"{one['range']['start']['line'] + 1}: {one['message']}" for one in found)
