"""What a failover costs, row by row of docs/scaling.md: two instances, 200 deliveries a second."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest

from tests.given.outage import Watch, watched
from tests.given.patroni import (
    PATIENCE_SECONDS,
    Cluster,
    Node,
    a_cluster_of_machines,
    cut_off,
    heal,
    lacking,
    silence,
)
from tests.given.waiting import eventually

pytestmark = pytest.mark.torture

RUNS: Final = range(3)
RATE: Final = 200


@pytest.fixture(scope="module")
async def machines() -> AsyncIterator[Cluster]:
    if missing := lacking():
        pytest.skip(missing)
    try:
        async with a_cluster_of_machines() as cluster:
            yield cluster
    except PermissionError as refused:
        pytest.skip(f"no network namespaces here: {refused}")


def well(watch: Watch) -> None:
    """Print what it cost, and see that nothing was lost, twice or left out."""
    print(watch)
    assert (watch.toll.lost, watch.toll.twice, watch.toll.gaps, watch.codes) == ([], [], 0, set())
    for positions in watch.positions:
        assert positions == list(range(1, len(watch.acknowledged) + 1))


async def succeeded(cluster: Cluster, watch: Watch, lost: Node) -> None:
    """Return once another node leads, and all goes well."""

    async def by_another() -> bool:
        return any([await cluster.leads(node) for node in cluster.nodes if node is not lost])

    await eventually(by_another, PATIENCE_SECONDS)
    await watch.more(100)


@pytest.mark.parametrize("run", RUNS)
async def test_a_killed_postmaster(machines: Cluster, tmp_path: Path, run: int) -> None:
    async with watched(machines, tmp_path, instances=2, rate=RATE) as watch:
        leader = await machines.leader()
        killed = leader.postmaster
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: leader.postmaster not in (None, killed), PATIENCE_SECONDS)
        await watch.more(100)

    well(watch)


@pytest.mark.parametrize("run", RUNS)
async def test_a_machine_that_loses_its_power(machines: Cluster, tmp_path: Path, run: int) -> None:
    async with watched(machines, tmp_path, instances=2, rate=RATE) as watch:
        lost = await machines.leader()
        await lost.lose()
        await succeeded(machines, watch, lost)

    well(watch)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("first", [True, False], ids=["first in the address", "last in the address"])
@pytest.mark.parametrize("how", [silence, cut_off], ids=["silent", "cut from the others"])
async def test_a_machine_that_cannot_be_reached(
    machines: Cluster, tmp_path: Path, how: Callable[[Cluster, Node], None], first: bool, run: int
) -> None:
    await machines.whole()
    leader = await machines.leader()
    named = leader if first else next(node for node in machines.nodes if node is not leader)
    async with watched(machines, tmp_path, instances=2, rate=RATE, first=named) as watch:
        lost = await machines.leader()
        how(machines, lost)
        try:
            await succeeded(machines, watch, lost)
        finally:
            heal(machines)

    well(watch)


@pytest.mark.parametrize("run", RUNS)
async def test_a_machine_whose_programs_stand_still(machines: Cluster, tmp_path: Path, run: int) -> None:
    """Its kernel goes on answering for them, so that no connection there is ever lost."""
    async with watched(machines, tmp_path, instances=2, rate=RATE) as watch:
        lost = await machines.leader()
        lost.signal(signal.SIGSTOP)
        try:
            await succeeded(machines, watch, lost)
        finally:
            await lost.lose()

    well(watch)
