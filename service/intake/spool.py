"""Keeps deliveries in files while Postgres is away, so that a 2xx can still be sent for them.

A folder of segment files, each written once from front to back. A record is `RSPL`, the length and the CRC
of what follows, then a small JSON head and the body. Records count as kept once `fdatasync` has returned,
for as many deliveries at once as were waiting. What is drained is forgotten a whole segment at a time:
draining again after a crash is harmless, since the log knows a delivery by its bytes and time of receipt.

A segment with bytes that cannot be read is drained as far as possible and kept as `*.damaged`, to be looked
into, until a person is erased: nothing says whose data is in the rest of it, so it goes then.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import struct
import tempfile
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import orjson
import structlog

from service.errors import DataFolderNotWritable, SpoolInUse, SpoolUnavailable
from service.events import Origin
from service.private_file import make_private, sync_folder

FOLDER_NAME: Final = "spool"
SEGMENT_BYTES: Final = 8 * 1024 * 1024
TRIAL_BYTES_MAX: Final = 1024 * 1024

_MARK: Final = b"RSPL"
_RECORD: Final = struct.Struct("<4sII")  # mark, length of what follows, its CRC-32
_HEAD: Final = struct.Struct("<I")  # length of the JSON head
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


class Spooled(NamedTuple):
    """A delivery as it was received. With a reason it is no event, and goes to the quarantine.

    `product_id` is the product that its key is bound to, or that the quarantine is to note.
    """

    received_at: datetime
    origin: Origin
    body: bytes
    product_id: int | None = None
    reason: str | None = None


@dataclass
class _Segment:
    path: Path
    safe_bytes: int = 0  # written and synced: beyond it nothing was acknowledged
    read_bytes: int = 0
    records: int = 0
    damaged: bool = False


class Spool:
    """One process's spool folder; `pending` deliveries wait in it.

    Every file operation runs in one thread of its own, one after the other, off the event loop.
    """

    def __init__(self, folder: Path, bytes_max: int, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.bytes_max = bytes_max
        self._segment_bytes = segment_bytes
        self._segments: deque[_Segment] = deque()
        self._peeked: tuple[int, int] = (0, 0)  # records and bytes of the first segment that were handed out
        self._file: int | None = None
        self._lock: int | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._next_number = 1
        self._failing = False
        self._last_bytes = 0
        self.pending = 0
        self.bytes_used = 0

    async def __aenter__(self) -> Spool:
        await self._in_thread(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def write(self, records: Sequence[Spooled]) -> None:
        """Keep the records; when this returns they are on the disk. Raises SpoolUnavailable."""
        packed = b"".join(map(_pack, records))
        self._last_bytes = len(packed)
        if self.bytes_used + len(packed) > self.bytes_max:
            raise SpoolUnavailable(f"it holds {self.bytes_used} bytes of at most {self.bytes_max}")
        await self._in_thread(lambda: self._write(packed, len(records)))
        self.pending += len(records)

    async def takes_again(self) -> bool:
        """Whether as much as was last to be kept could be kept now; a file that is gone at once tries it."""
        size = min(self._last_bytes, TRIAL_BYTES_MAX)
        return self.bytes_used + size <= self.bytes_max and await self._in_thread(lambda: self._try(size))

    async def peek(self, limit: int) -> list[Spooled]:
        """Return the oldest records, at most `limit`; they stay until `forget` is called."""
        records, lost = await self._in_thread(lambda: self._peek(limit))
        self.pending -= lost
        return records

    async def forget(self) -> None:
        """Let go of what the last `peek` returned: it is in the log."""
        records, _ = self._peeked
        await self._in_thread(self._forget)
        self.pending -= records

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        # Shielded: what the thread has begun it finishes, whoever was cancelled meanwhile.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))

    # In the thread

    def _open(self) -> None:
        try:
            make_private(self.folder.parent)
            make_private(self.folder)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataFolderNotWritable(self.folder, error.strerror or "unknown") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = None
            raise SpoolInUse(self.folder) from None
        for path in sorted(self.folder.glob("*.spool")):
            self._next_number = int(path.stem) + 1
            content = path.read_bytes()
            records, end, damaged = _scan(content)
            segment = _Segment(
                path, safe_bytes=len(content), records=len(records), damaged=damaged or end < len(content)
            )
            self._segments.append(segment)
            self.pending += segment.records
            self.bytes_used += segment.safe_bytes
        while self._segments and self._segments[0].records == 0:
            self._drop_first()

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._put_back()
        self._seal()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _write(self, packed: bytes, records: int) -> None:
        """Write and sync; once more into a new segment when the first attempt fails.

        After a failed sync the kernel may have dropped the pages and count them as clean, so that a second
        sync of the same file reports success for what is lost: such a file is never synced again.
        """
        try:
            self._put_back()
        except OSError as error:
            raise SpoolUnavailable(error.strerror or str(error.errno)) from error
        for attempt in (1, 2):
            try:
                segment = self._open_segment()
                assert self._file is not None
                _write_all(self._file, packed)
                os.fdatasync(self._file)
            except OSError as error:
                self._give_up_segment()
                if not self._failing:
                    _log.warning(
                        "spool_write_failed", error=errno.errorcode.get(error.errno or 0), attempt=attempt
                    )
                if attempt == 2:
                    self._failing = True
                    raise SpoolUnavailable(error.strerror or str(error.errno)) from error
            else:
                self._failing = False
                segment.safe_bytes += len(packed)
                self.bytes_used += len(packed)
                segment.records += records
                return

    def _try(self, size: int) -> bool:
        try:
            with tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
                _write_all(file.fileno(), bytes(size))
                os.fdatasync(file.fileno())
        except OSError:
            return False
        return True

    def _open_segment(self) -> _Segment:
        if self._file is not None:
            if self._segments and self._segments[-1].safe_bytes < self._segment_bytes:
                return self._segments[-1]
            self._seal()
        self._file, path = self._made()
        self._segments.append(_Segment(path))
        sync_folder(self.folder)
        return self._segments[-1]

    def _made(self) -> tuple[int, Path]:
        path = self.folder / f"{self._next_number:020d}.spool"
        self._next_number += 1
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path

    def _put_back(self) -> None:
        """Make the file that is written to anew where somebody deleted it: closed, it would be gone.

        Under another name: a copy of it may stand at its own by now.
        """
        if self._file is None or os.fstat(self._file).st_nlink:
            return
        segment = self._segments[-1]
        copy, path = self._made()
        try:
            _write_all(copy, os.pread(self._file, segment.safe_bytes, 0))
            os.fdatasync(copy)
            sync_folder(self.folder)
        except OSError:
            os.close(copy)
            path.unlink(missing_ok=True)
            raise
        self._seal()
        self._file, segment.path = copy, path
        _log.warning("spool_segment_put_back", file=segment.path.name, deliveries=segment.records)

    def _seal(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                os.close(file)

    def _give_up_segment(self) -> None:
        """Write nowhere behind a failure: what was synced before it stays, the rest nobody relies on."""
        if self._file is None:
            return
        self._seal()
        segment = self._segments[-1]
        with contextlib.suppress(OSError):
            os.truncate(segment.path, segment.safe_bytes)
        if segment.records == 0:
            self._segments.pop()
            self._remove(segment)

    def _peek(self, limit: int) -> tuple[list[Spooled], int]:
        """Return the oldest records, and how many that were counted can no longer be read."""
        lost = 0
        with contextlib.suppress(OSError):
            self._put_back()
        while self._segments:
            segment = self._segments[0]
            content = self._content(segment)
            records, end, damaged = _scan(content, limit)
            segment.damaged = segment.damaged or damaged
            self._peeked = (len(records), end)
            if records:
                return records, lost
            lost += segment.records
            segment.damaged = segment.damaged or segment.records > 0
            self._drop_first()
        self._peeked = (0, 0)
        return [], lost

    def _content(self, segment: _Segment) -> bytes:
        size, begin = segment.safe_bytes - segment.read_bytes, segment.read_bytes
        if self._file is not None and segment is self._segments[-1]:  # also where its name is gone
            return os.pread(self._file, size, begin)
        with contextlib.suppress(FileNotFoundError), segment.path.open("rb") as file:
            file.seek(begin)
            return file.read(size)
        return b""

    def _forget(self) -> None:
        records, end = self._peeked
        self._peeked = (0, 0)
        if not self._segments:
            return
        segment = self._segments[0]
        segment.read_bytes += end
        segment.records -= records
        while self._segments and self._segments[0].records == 0:
            self._drop_first()

    def _drop_first(self) -> None:
        segment = self._segments.popleft()
        if not self._segments:
            self._seal()  # it may be the one that is being written
        self._remove(segment)

    def _remove(self, segment: _Segment) -> None:
        self.bytes_used -= segment.safe_bytes
        if segment.damaged:
            kept = segment.path.with_suffix(".damaged")
            try:
                segment.path.rename(kept)
            except FileNotFoundError:
                _log.error("spool_segment_gone", file=segment.path.name, deliveries=segment.records)
            else:
                _log.error("spool_segment_damaged", file=kept.name, bytes=segment.safe_bytes)
        else:
            with contextlib.suppress(FileNotFoundError):
                segment.path.unlink()


def damaged_files(folder: Path) -> list[Path]:
    """Return the segments that could not be read in full, oldest first."""
    return sorted(folder.glob("*.damaged"))


def delete_damaged(folder: Path) -> None:
    """Delete them, each with a line in the service's log."""
    for path in damaged_files(folder):
        with contextlib.suppress(FileNotFoundError):
            size = path.stat().st_size
            path.unlink()
            _log.warning("spool_damaged_file_erased", file=path.name, bytes=size)
    with contextlib.suppress(OSError):
        sync_folder(folder)


def _pack(record: Spooled) -> bytes:
    head = orjson.dumps(
        {
            "received_at": (record.received_at - _EPOCH) // _MICROSECOND,
            "origin": record.origin,
            "product_id": record.product_id,
            "reason": record.reason,
        }
    )
    payload = b"".join((_HEAD.pack(len(head)), head, record.body))
    return _RECORD.pack(_MARK, len(payload), zlib.crc32(payload)) + payload


def _scan(content: bytes, limit: int | None = None) -> tuple[list[Spooled], int, bool]:
    """Return the records, where the last one ends, and whether something unreadable stood between them.

    A tail that cannot be read is what a crash in the middle of a write leaves: never synced, so never
    acknowledged. Something unreadable that a good record follows is damage, and is skipped.
    """
    records: list[Spooled] = []
    damaged = False
    end = start = 0
    while limit is None or len(records) < limit:
        found = _unpack(content, start)
        if found is not None:
            damaged = damaged or start > end
            record, end = found
            records.append(record)
            start = end
            continue
        start = content.find(_MARK, start + 1)
        if start < 0:
            break
    return records, end, damaged


def _unpack(content: bytes, start: int) -> tuple[Spooled, int] | None:
    begin = start + _RECORD.size
    if begin > len(content):
        return None
    mark, length, checksum = _RECORD.unpack_from(content, start)
    payload = content[begin : begin + length]
    if mark != _MARK or len(payload) != length or zlib.crc32(payload) != checksum:
        return None
    (head_bytes,) = _HEAD.unpack_from(payload)
    body_at = _HEAD.size + head_bytes
    head = orjson.loads(payload[_HEAD.size : body_at])
    received_at = _EPOCH + head["received_at"] * _MICROSECOND
    return (
        Spooled(received_at, head["origin"], payload[body_at:], head["product_id"], head["reason"]),
        begin + length,
    )


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
