"""What the spool promises: kept before it answers, in order, bounded, and never trusting a failed sync."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.errors import DataFolderNotWritable, SpoolInUse, SpoolUnavailable
from service.intake.spool import Spool, Spooled
from tests.given.bodies import NOON, a_body
from tests.given.folders import ROOT

MANY = 10**9


def a_record(number: int, **members: Any) -> Spooled:
    return Spooled(NOON + timedelta(microseconds=number), "WEBHOOK", a_body(number), **members)


async def drained(spool: Spool, limit: int = 3) -> list[Spooled]:
    seen: list[Spooled] = []
    while records := await spool.peek(limit):
        seen += records
        await spool.forget()
    return seen


async def test_records_come_back_whole_and_in_order(tmp_path: Path) -> None:
    records = [a_record(1), a_record(2, product_id=7, reason="no event"), a_record(3)]
    async with Spool(tmp_path, MANY) as spool:
        await spool.write(records[:1])
        await spool.write(records[1:])

        assert spool.pending == 3
        assert await drained(spool, limit=2) == records
        assert (spool.pending, spool.bytes_used) == (0, 0)
        assert not list(tmp_path.glob("*.spool"))


async def test_what_was_not_drained_is_there_after_a_restart(tmp_path: Path) -> None:
    async with Spool(tmp_path, MANY) as spool:
        await spool.write([a_record(number) for number in range(5)])
        await spool.peek(2)
        await spool.forget()

    async with Spool(tmp_path, MANY) as spool:
        # A segment is forgotten as a whole: some come again, and the log knows them.
        assert await drained(spool) == [a_record(number) for number in range(5)]


async def test_records_that_were_only_looked_at_stay(tmp_path: Path) -> None:
    async with Spool(tmp_path, MANY) as spool:
        await spool.write([a_record(1)])

        assert await spool.peek(5) == await spool.peek(5) == [a_record(1)]
        assert spool.pending == 1


async def test_segments_are_removed_one_by_one_while_others_are_written(tmp_path: Path) -> None:
    async with Spool(tmp_path, MANY, segment_bytes=500) as spool:
        for number in range(20):
            await spool.write([a_record(number)])
        files = len(list(tmp_path.glob("*.spool")))
        assert files > 5

        first = await spool.peek(100)
        await spool.forget()
        await spool.write([a_record(20)])

        assert len(list(tmp_path.glob("*.spool"))) <= files
        assert first + await drained(spool) == [a_record(number) for number in range(21)]


async def test_writing_and_draining_at_once_lose_and_repeat_nothing(tmp_path: Path) -> None:
    async with Spool(tmp_path, MANY, segment_bytes=2_000) as spool:
        seen: list[Spooled] = []

        async def write() -> None:
            for number in range(200):
                await spool.write([a_record(number)])

        async def drain() -> None:
            while len(seen) < 200:
                seen.extend(await spool.peek(7))
                await spool.forget()

        await asyncio.gather(write(), drain())

        assert seen == [a_record(number) for number in range(200)]


@pytest.mark.parametrize("left", [1, 5, 12, 40, 130])
async def test_a_record_that_a_crash_tore_is_passed_over_and_its_bytes_are_kept(
    tmp_path: Path, left: int
) -> None:
    async with Spool(tmp_path, MANY) as spool:
        await spool.write([a_record(1), a_record(2)])
        [segment] = tmp_path.glob("*.spool")
        whole = segment.read_bytes()
        await spool.write([a_record(3)])
    content = segment.read_bytes()
    segment.write_bytes(content[: len(whole) + left])

    async with Spool(tmp_path, MANY) as spool:
        assert spool.pending == 2
        assert await drained(spool) == [a_record(1), a_record(2)]
        await spool.write([a_record(4)])
        assert await drained(spool) == [a_record(4)]
    assert segment.with_suffix(".damaged").read_bytes()[: len(whole)] == whole


async def test_damage_in_the_middle_costs_that_record_and_no_other(tmp_path: Path) -> None:
    async with Spool(tmp_path, MANY) as spool:
        await spool.write([a_record(number) for number in range(5)])
    [segment] = tmp_path.glob("*.spool")
    content = bytearray(segment.read_bytes())
    content[content.index(b"Idea 2")] ^= 1
    segment.write_bytes(content)

    async with Spool(tmp_path, MANY) as spool:
        assert await drained(spool) == [a_record(number) for number in (0, 1, 3, 4)]
    assert segment.with_suffix(".damaged").exists()


async def test_damage_that_comes_while_it_runs_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    async with Spool(tmp_path, MANY, segment_bytes=1) as spool:
        await spool.write([a_record(1)])
        await spool.write([a_record(2)])
        sorted(tmp_path.glob("*.spool"))[0].write_bytes(b"x" * 50)

        assert await drained(spool) == [a_record(2)]
        assert spool.pending == 0


async def test_what_is_kept_is_not_lost_with_a_file_that_somebody_deletes(tmp_path: Path) -> None:
    async with Spool(tmp_path, MANY) as spool:
        await spool.write([a_record(1)])
        for segment in tmp_path.glob("*.spool"):
            segment.unlink()
        await spool.write([a_record(2)])

        assert await spool.peek(1) == [a_record(1)]
        for segment in tmp_path.glob("*.spool"):
            segment.unlink()
        assert await spool.peek(2) == [a_record(1), a_record(2)]
        for segment in tmp_path.glob("*.spool"):
            segment.unlink()

    async with Spool(tmp_path, MANY) as spool:
        assert await drained(spool) == [a_record(1), a_record(2)]


async def test_a_copy_in_place_of_a_file_that_somebody_deletes_is_in_nobodys_way(tmp_path: Path) -> None:
    async with Spool(tmp_path, MANY) as spool:
        await spool.write([a_record(1)])
        [segment] = tmp_path.glob("*.spool")
        kept = segment.read_bytes()
        segment.unlink()
        segment.write_bytes(kept)
        await spool.write([a_record(2)])

        assert await drained(spool) == [a_record(1), a_record(2)]


async def test_a_file_that_is_gone_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    async with Spool(tmp_path, MANY, segment_bytes=1) as spool:
        await spool.write([a_record(1)])
        await spool.write([a_record(2)])
        sorted(tmp_path.glob("*.spool"))[0].unlink()

        assert await drained(spool) == [a_record(2)]
        assert (spool.pending, spool.bytes_used) == (0, 0)


async def test_a_full_spool_refuses_and_takes_again_once_drained(tmp_path: Path) -> None:
    async with Spool(tmp_path, 1_000) as spool:
        for number in range(3):
            await spool.write([a_record(number)])

        with pytest.raises(SpoolUnavailable, match="1000"):
            await spool.write([a_record(number) for number in range(9)])

        kept = spool.pending
        assert kept == 3

        assert len(await drained(spool)) == kept
        await spool.write([a_record(1)])


async def test_a_second_process_is_refused_the_folder(tmp_path: Path) -> None:
    async with Spool(tmp_path, MANY):
        with pytest.raises(SpoolInUse, match="--data-dir"):
            await Spool(tmp_path, MANY).__aenter__()


async def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(DataFolderNotWritable, match="file"):
        await Spool(tmp_path / "file" / "spool", MANY).__aenter__()


class _Disk:
    """A disk that fails the next syncs or writes. It replaces the call to the system, not our code."""

    def __init__(self) -> None:
        self.failures: list[int] = []
        self.synced: list[int] = []

    def fdatasync(self, file: int) -> None:
        self.synced.append(file)
        if self.failures:
            raise OSError(self.failures.pop(0), "the disk says no")
        os.fsync(file)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> _Disk:
    disk = _Disk()
    monkeypatch.setattr(os, "fdatasync", disk.fdatasync)
    return disk


async def test_after_a_failed_sync_the_record_goes_into_a_new_file(tmp_path: Path, disk: _Disk) -> None:
    async with Spool(tmp_path, MANY) as spool:
        await spool.write([a_record(1)])
        disk.failures = [errno.EIO]

        await spool.write([a_record(2)])

        assert len(list(tmp_path.glob("*.spool"))) == 2
        assert await drained(spool) == [a_record(1), a_record(2)]


async def test_a_disk_that_stays_broken_is_refused_and_what_was_safe_stays(
    tmp_path: Path, disk: _Disk
) -> None:
    async with Spool(tmp_path, MANY) as spool:
        await spool.write([a_record(1)])
        disk.failures = [errno.EIO, errno.ENOSPC]

        with pytest.raises(SpoolUnavailable, match="the disk says no"):
            await spool.write([a_record(2)])

        await spool.write([a_record(3)])
        assert await drained(spool) == [a_record(1), a_record(3)]


async def test_a_full_file_system_is_refused_and_what_was_safe_stays(tmp_path: Path) -> None:
    script = f"""
import asyncio, resource, signal
from pathlib import Path
from service.errors import SpoolUnavailable
from service.intake.spool import Spool
from tests.intake.test_spool import a_record

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    async with Spool(Path({str(tmp_path)!r}), 10**9) as spool:
        await spool.write([a_record(1)])
        try:
            await spool.write([a_record(n) for n in range(100)])
        except SpoolUnavailable:
            print("refused")
        await spool.write([a_record(2)])

asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
    )
    assert done.stdout.strip().splitlines()[-1:] == ["refused"], done.stderr

    async with Spool(tmp_path, MANY) as spool:
        assert await drained(spool) == [a_record(1), a_record(2)]


async def test_a_killed_process_leaves_every_record_that_it_had_kept(tmp_path: Path) -> None:
    script = f"""
import asyncio
from pathlib import Path
from service.intake.spool import Spool
from tests.intake.test_spool import a_record

async def main():
    async with Spool(Path({str(tmp_path)!r}), 10**9, segment_bytes=3000) as spool:
        number = 0
        while True:
            await spool.write([a_record(number), a_record(number + 1)])
            number += 2
            print(number, flush=True)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    while (kept := int(await process.stdout.readline())) < 50:
        pass
    process.send_signal(signal.SIGKILL)
    kept = max([kept, *map(int, (await process.stdout.read()).split())])
    await process.wait()

    async with Spool(tmp_path, MANY) as spool:
        seen = await drained(spool)
    assert seen[:kept] == [a_record(number) for number in range(kept)]
