"""A cluster as deploy/patroni makes it: nothing acknowledged is lost with a postmaster or a machine."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.given.folders import ROOT
from tests.given.outage import Watch, watched
from tests.given.patroni import PATIENCE_SECONDS, RECIPE, Cluster, a_cluster, lacking
from tests.given.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    if missing := lacking():
        pytest.skip(missing)
    async with a_cluster() as running:
        yield running


def well(watch: Watch) -> None:
    """Nothing was lost, nothing is there twice, and who follows got every position once, in order."""
    print(watch)
    assert (watch.toll.lost, watch.toll.twice, watch.toll.gaps) == ([], [], 0)
    assert watch.codes == set()
    for positions in watch.positions:
        assert positions == list(range(1, len(watch.acknowledged) + 1))


async def test_a_killed_postmaster_costs_nothing_that_was_acknowledged(
    cluster: Cluster, tmp_path: Path
) -> None:
    async with watched(cluster, tmp_path) as watch:
        leader = await cluster.leader()
        killed = leader.postmaster
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: leader.postmaster not in (None, killed), PATIENCE_SECONDS)
        await watch.more()

    well(watch)


async def test_a_machine_that_is_lost_costs_nothing_that_was_acknowledged(
    cluster: Cluster, tmp_path: Path
) -> None:
    async with watched(cluster, tmp_path) as watch:
        lost = await cluster.leader()
        await lost.lose()
        assert await cluster.leader() is not lost
        await watch.more()

    well(watch)
    assert watch.spooled > 0


async def test_the_control_without_synchronous_replication_what_came_last_is_lost_and_that_is_told(
    cluster: Cluster, tmp_path: Path
) -> None:
    await cluster.configure(synchronous_mode=False, maximum_lag_on_failover=2**40)

    async def waits_for_none() -> bool:
        return not await cluster.synchronous()

    await eventually(waits_for_none, PATIENCE_SECONDS)
    async with watched(cluster, tmp_path) as watch:
        lost = await cluster.leader()
        await cluster.hold_replicas_back(lost)
        await watch.more(50)
        await lost.lose()
        assert await cluster.leader() is not lost
        await eventually(lambda: watch.codes, PATIENCE_SECONDS)

    print(watch)
    assert watch.toll.lost
    assert watch.toll.twice == []
    assert watch.codes == {"LOG_WENT_BACK"}


def test_the_recipe_has_what_the_page_says() -> None:
    told: dict[str, Any] = yaml.safe_load(RECIPE.read_text())["bootstrap"]["dcs"]
    page = (ROOT / "docs" / "scaling.md").read_text()

    assert told["synchronous_mode"] is True
    for name in ("wal_writer_delay", "hot_standby_feedback"):
        assert f"`{name} = {told['postgresql']['parameters'][name]}`" in page
