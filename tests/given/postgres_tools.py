"""Postgres's own tools, of the version of the server under test."""

from __future__ import annotations

import asyncio
import subprocess

import asyncpg
import pytest

from service.errors import RecountError
from service.postgres.binaries import find_binaries


async def dump(url: str, *options: str) -> str:
    """Return what `pg_dump` writes of a database; byte strings are read out, so that a search finds them."""
    answer = await run("pg_dump", "--inserts", *options, "--dbname", url)
    lines = answer.stdout.decode().splitlines()
    # A line of its own for each dump, and random: it says nothing of the database.
    plain = "\n".join(line for line in lines if not line.startswith(("\\restrict", "\\unrestrict")))
    return plain + "\n" + await _bytes_of(url)


async def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run one of Postgres's programs; skips where this version's are not installed."""
    url = arguments[-1]
    connection = await asyncpg.connect(url)
    major = connection.get_server_version().major
    await connection.close()
    try:
        folder = find_binaries(major=major).folder
    except RecountError:
        pytest.skip(f"the programs of PostgreSQL {major} are not installed here")
    if not (folder / tool).exists():
        pytest.skip(f"{tool} is not among the programs in {folder}")
    process = await asyncio.create_subprocess_exec(
        folder / tool, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return subprocess.CompletedProcess([tool, *arguments], 0, out, err)


async def _bytes_of(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("select body from log.quarantine union all select raw from log.events")
    finally:
        await connection.close()
    return "\n".join(row["body"].decode("utf-8", "replace") for row in rows if row["body"])
