"""What a failover costs, row by row of docs/scaling.md: two instances, 200 deliveries a second."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from tests.given.fronts import need, program
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
from tests.given.ports import free_port
from tests.given.waiting import eventually

pytestmark = pytest.mark.torture

RUNS: Final = range(3)
RATE: Final = 200
HAPROXY: Final = """
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
listen postgres
    bind 127.0.0.1:{port}
    option httpchk GET /primary
    http-check expect status 200
    default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
"""


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


@asynccontextmanager
async def haproxy(cluster: Cluster, folder: Path) -> AsyncIterator[str]:
    """Give the address of an HAProxy that leads to the node which says that it leads."""
    need("haproxy")
    port, file = free_port(), folder / "haproxy.cfg"
    folder.mkdir()
    nodes = [f"    server {node.name} {node.host} check port {node.rest}\n" for node in cluster.nodes]
    file.write_text(HAPROXY.format(port=port) + "".join(nodes))
    address = f"127.0.0.1:{port}"

    async def leads() -> bool:
        """Whether it leads to no replica: it takes each node for well until it has asked it twice."""
        for _ in range(2 * len(cluster.nodes)):  # each in turn
            connection = await asyncpg.connect(cluster.url("postgres", "postgres", through=address))
            replica = await connection.fetchval("select pg_is_in_recovery()")
            await connection.close()
            if replica:
                return False
        return True

    async with program(["haproxy", "-W", "-f", file], port, folder):
        await cluster.whole()
        await eventually(leads, PATIENCE_SECONDS)
        yield address


@asynccontextmanager
async def nothing(_: Cluster, __: Path) -> AsyncIterator[None]:
    """Let instances name the nodes themselves."""
    yield None


Before = Callable[[Cluster, Path], AbstractAsyncContextManager[str | None]]
BEFORE = pytest.mark.parametrize("before", [nothing, haproxy], ids=["named", "behind HAProxy"])


@BEFORE
@pytest.mark.parametrize("run", RUNS)
async def test_a_killed_postmaster(machines: Cluster, tmp_path: Path, before: Before, run: int) -> None:
    async with (
        before(machines, tmp_path / "before") as through,
        watched(machines, tmp_path, instances=2, rate=RATE, through=through) as watch,
    ):
        leader = await machines.leader()
        killed = leader.postmaster
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: leader.postmaster not in (None, killed), PATIENCE_SECONDS)
        await watch.more(100)

    well(watch)


@BEFORE
@pytest.mark.parametrize("run", RUNS)
async def test_a_machine_that_loses_its_power(
    machines: Cluster, tmp_path: Path, before: Before, run: int
) -> None:
    async with (
        before(machines, tmp_path / "before") as through,
        watched(machines, tmp_path, instances=2, rate=RATE, through=through) as watch,
    ):
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
