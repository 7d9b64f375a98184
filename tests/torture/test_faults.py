"""Promise 1 under a broken network and broken disks: 0 lost, 0 twice, no 2xx for what is not safe."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.given.toll import Toll
from tests.torture.faults import failing_syncs, network_faults, run_full_disk

pytestmark = pytest.mark.torture


def well(toll: Toll) -> bool:
    """Print a toll, and say whether nothing is missing or there twice."""
    print(toll)
    return (toll.lost, toll.twice, toll.gaps) == ([], [], 0) and toll.acknowledged > 1_000


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that Postgres's user can reach, unlike the tests' own."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc here to compile the library that makes syncs fail")
    folder = Path(tempfile.mkdtemp(prefix="recount-eio-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def test_broken_connections_to_postgres_cost_nothing(tmp_path: Path) -> None:
    assert well(await network_faults(tmp_path, faults=50))


@pytest.mark.parametrize("part", ["pg_wal", "spool"])
async def test_failing_syncs_cost_nothing(tmp_path: Path, shared: Path, part: str) -> None:
    toll = await failing_syncs(tmp_path, shared, part=part, seconds=60)

    assert well(toll)
    if part == "spool":
        assert toll.refused > 0


@pytest.mark.parametrize("which", ["data", "wal", "spool"])
async def test_a_full_disk_costs_nothing(tmp_path: Path, which: str) -> None:
    try:
        toll = await asyncio.to_thread(run_full_disk, tmp_path / "data", which, 60)
    except PermissionError as error:
        pytest.skip(f"no mount namespace can be made here: {error}")

    assert well(toll)
    if which == "spool":
        assert toll.refused > 0
