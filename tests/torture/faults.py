"""Breaks the network, the disk and its syncs under a loaded service, and counts what is missing afterwards.

`python -m tests.torture.faults FOLDER data|wal|spool SECONDS`, in a mount namespace of its own, fills a small
disk under Postgres's data, its log or the spool, and prints the toll as JSON.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from service.postgres.binaries import find_binaries
from tests.given.proxy import Proxy, proxy_before
from tests.given.toll import Toll, count
from tests.torture.harness import ROOT, Load, postgres, receiving

DISK_BYTES: Final = {"data": 1_500_000_000, "wal": 80_000_000, "spool": 2_000_000}


async def network_faults(folder: Path, *, faults: int, seed: int = 1) -> Toll:
    """Cut, delay, silence and reset the connections to Postgres at random, under load."""
    chance = random.Random(seed)
    toll = Toll()
    began = time.monotonic()
    async with (
        postgres(folder) as running,
        proxy_before(running.dsn) as (proxy, through),
        receiving(through, folder) as receiver,
    ):
        load = Load(receiver.port)
        load.start()
        kinds: dict[str, Callable[[Proxy], None]] = {
            "cut": lambda proxy: proxy.cut(),
            "delayed 2 s": lambda proxy: setattr(proxy, "delay_seconds", 2.0),
            "half-open": lambda proxy: setattr(proxy, "swallows", True),
            "refused": _refuse,
            "reset between commit and answer": lambda proxy: setattr(
                proxy, "reset_before_answer", lambda _: chance.random() < 0.1
            ),
        }
        toll.kills = dict.fromkeys(kinds, 0)
        for number in range(faults):
            recorded = load.recorded
            async with asyncio.timeout(60):
                while load.recorded <= recorded + 100:
                    await asyncio.sleep(0.001)
            kind = list(kinds)[number % len(kinds)]
            toll.kills[kind] += 1
            toll.in_flight.append(load.in_flight)
            kinds[kind](proxy)
            await asyncio.sleep(chance.uniform(0.1, 3.0))
            proxy.heal()
        await load.end()
        await receiver.drained()
        await receiver.kill()
        _note(toll, load)
        await count(running.dsn, load.acknowledged, toll)
    toll.seconds = time.monotonic() - began
    return toll


def _refuse(proxy: Proxy) -> None:
    proxy.refuses = True
    proxy.cut()


async def failing_syncs(folder: Path, shared: Path, *, part: str, seconds: float) -> Toll:
    """Let each sync of files whose path holds `part` fail for a while, again and again.

    `part` "pg_wal" breaks Postgres; "spool" breaks the spool while Postgres cannot be reached, so that
    nothing is left that could keep a delivery. `shared` is a folder that the user of Postgres can reach.
    """
    toll = Toll()
    began = time.monotonic()
    control = shared / "broken"
    environment = {
        "LD_PRELOAD": str(compile_shim(shared)),
        "RECOUNT_TEST_EIO_WHILE": str(control),
        "RECOUNT_TEST_EIO_PATH": part,
    }
    bindir = preloading_binaries(shared, environment) if part == "pg_wal" else None
    ours = environment if part == "spool" else None
    async with (
        postgres(folder, bindir=bindir) as running,
        proxy_before(running.dsn) as (proxy, through),
        receiving(through, folder, environment=ours) as receiver,
    ):
        load = Load(receiver.port)
        load.start()
        while time.monotonic() - began < seconds:
            acknowledged = load.recorded
            async with asyncio.timeout(90):
                while load.recorded <= acknowledged + 100:
                    await asyncio.sleep(0.001)
            toll.in_flight.append(load.in_flight)
            control.touch()
            if part == "spool":
                _refuse(proxy)
            await asyncio.sleep(2.0)
            control.unlink()
            proxy.heal()
        toll.kills = {f"EIO in {part}": len(toll.in_flight)}
        await load.end()
        await receiver.drained()
        await receiver.kill()
        _note(toll, load)
        await count(running.dsn, load.acknowledged, toll)
    toll.seconds = time.monotonic() - began
    return toll


def compile_shim(shared: Path) -> Path:
    """Compile the library that makes syncs fail. Raises FileNotFoundError without a compiler."""
    target = shared / "eio.so"
    source = Path(__file__).with_name("eio.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    target.chmod(0o755)
    return target


def preloading_binaries(shared: Path, environment: dict[str, str]) -> Path:
    """Make programs of Postgres's names that start Postgres's own with the library."""
    real = find_binaries().folder
    folder = shared / "bin"
    folder.mkdir(mode=0o755)
    for name in ("postgres", "initdb"):
        variables = " ".join(f"{key}='{value}'" for key, value in environment.items())
        (folder / name).write_text(f'#!/bin/sh\nexec env {variables} "{real / name}" "$@"\n')
        (folder / name).chmod(0o755)
    return folder


async def full_disk(folder: Path, which: str, *, seconds: float) -> Toll:
    """Fill the disk under `which` for a while, again and again. Needs a mount namespace of our own."""
    toll = Toll()
    began = time.monotonic()
    folder.mkdir(exist_ok=True)
    disk = {"data": folder / "postgres", "wal": folder / "postgres" / "pg_wal", "spool": folder / "spool"}[
        which
    ]
    if which != "spool":
        async with postgres(folder):
            pass
        _move_to_small_disk(disk, DISK_BYTES[which])
    else:
        disk.mkdir()
        _move_to_small_disk(disk, DISK_BYTES[which])
    settings = {"max_wal_size": "48MB", "min_wal_size": "32MB"}
    async with (
        postgres(folder, settings=settings) as running,
        proxy_before(running.dsn) as (proxy, through),
        receiving(through, folder) as receiver,
    ):
        load = Load(receiver.port)
        load.start()
        while time.monotonic() - began < seconds:
            recorded = load.recorded
            async with asyncio.timeout(120):
                while load.recorded <= recorded + 100:
                    await asyncio.sleep(0.001)
            toll.in_flight.append(load.in_flight)
            if which == "spool":
                _refuse(proxy)
            _fill(disk)
            await asyncio.sleep(3.0)
            (disk / "filler").unlink(missing_ok=True)
            proxy.heal()
        toll.kills = {f"disk full under {which}": len(toll.in_flight)}
        await load.end()
        await receiver.drained()
        await receiver.kill()
        _note(toll, load)
        await count(running.dsn, load.acknowledged, toll)
    toll.seconds = time.monotonic() - began
    return toll


def _note(toll: Toll, load: Load) -> None:
    toll.acknowledged, toll.spooled, toll.refused = len(load.acknowledged), load.spooled, load.refused


def _move_to_small_disk(folder: Path, size: int) -> None:
    """Put a memory disk of `size` bytes over a folder, with what the folder held."""
    owner = folder.stat()
    aside = folder.with_name(f"{folder.name}.aside")
    shutil.copytree(folder, aside, symlinks=True)
    options = f"size={size},mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    subprocess.run(["cp", "-a", f"{aside}/.", folder], check=True)
    subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", folder], check=True)
    shutil.rmtree(aside)


def _fill(disk: Path) -> None:
    """Take all the room that there is."""
    with (disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"\0" * 65_536)
        except OSError:
            pass


def run_full_disk(folder: Path, which: str, seconds: float) -> Toll:
    """Run `full_disk` in a mount namespace. Raises PermissionError where none can be made."""
    folder.mkdir(exist_ok=True)
    made = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True
    )
    if made.returncode:
        raise PermissionError(made.stderr.decode())
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-m", "tests.torture.faults", folder, which, str(seconds)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("RECOUNT_")},
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return Toll(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    found = asyncio.run(full_disk(Path(sys.argv[1]), sys.argv[2], seconds=float(sys.argv[3])))
    print(json.dumps(dataclasses.asdict(found)))
