"""Tells which services of this user run on this machine: where each listens, and on which data folder.

A service has a file in a folder of its user's, under a lock of its own: the kernel lets go of it however the
service ends, and whoever looks next deletes the file. Without such a folder nothing is told, and nothing else
is lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from service.config import Settings
from service.errors import ServiceElsewhere
from service.hosts import near_url

_log = structlog.get_logger(__name__)


class Running(BaseModel):
    """A service that runs. `host`, `labels` and `reactions` are what it was started with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path
    address: str
    host: str = ""
    labels: Path | None
    reactions: Path | None = None


@contextlib.contextmanager
def told(settings: Settings, port: int) -> Iterator[None]:
    """Tell of a service that listens on a port, until the block ends."""
    running = Running(
        data_dir=Path(os.path.realpath(settings.data_dir)),
        address=near_url(settings.host, port),
        host=settings.host,
        labels=settings.labels and settings.labels.absolute(),
        reactions=settings.reactions and settings.reactions.absolute(),
    )
    path = None
    with contextlib.ExitStack() as held:
        try:
            file = held.enter_context(tempfile.NamedTemporaryFile(dir=_folder(), delete=False))
            path = Path(file.name)
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(running.model_dump_json().encode())
            file.flush()
            path = path.rename(path.with_suffix(".json"))  # from now on it is looked at
        except OSError as error:
            _log.info("running_untold", reason=error.strerror)
        try:
            yield
        finally:
            if path is not None:
                with contextlib.suppress(OSError):  # who looks next deletes it
                    path.unlink()


def running_services() -> list[Running]:
    """Return the services of this user, by data folder."""
    try:
        files = list(_folder().glob("*.json"))
    except OSError:
        return []
    found = [running for file in files if (running := _running(file)) is not None]
    return sorted(found, key=lambda one: (one.data_dir, one.address))


def service_here(settings: Settings) -> Running | None:
    """Return the service that runs on the data folder of the settings."""
    here = Path(os.path.realpath(settings.data_dir))
    return next((one for one in running_services() if one.data_dir == here), None)


def with_files_of_service(settings: Settings) -> Settings:
    """Return the settings with the files of labels and reactions of the service that runs here.

    Those that the settings name themselves stay.
    """
    if (running := service_here(settings)) is None:
        return settings
    files = {
        "labels": settings.labels or running.labels,
        "reactions": settings.reactions or running.reactions,
    }
    return settings.model_copy(update=files)


def address_of_service(settings: Settings) -> str:
    """Return the URL of the service that a command means.

    That is the one at the address that was given; else the one on the data folder; else, where none is known
    to run, whatever listens at the usual address. Another folder's has other keys and other events: raises
    ServiceElsewhere, which names those that run.
    """
    if not settings.model_fields_set & {"host", "port"}:
        if (here := service_here(settings)) is not None:
            return here.address
        if running := running_services():
            raise ServiceElsewhere(settings.data_dir, [(one.data_dir, one.address) for one in running])
    return near_url(settings.host, settings.port)


def _folder() -> Path:
    """Return this user's folder, made where there is none. Raises OSError where it is not theirs alone.

    Not in TMPDIR: a service and who looks for it may have different ones.
    """
    own = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(own) / "recount" if own else Path(f"/tmp/recount-{os.geteuid()}")
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(0, "the folder for it is not this user's alone", str(folder))
    return folder


def _running(file: Path) -> Running | None:
    """Return what a file tells; None where its service has ended. Whose lock is free has ended."""
    try:
        with file.open("rb") as content:
            try:
                fcntl.flock(content, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Running.model_validate_json(content.read())
            file.unlink(missing_ok=True)
    except (OSError, ValidationError):
        pass  # ended meanwhile, or written by another version
    return None
