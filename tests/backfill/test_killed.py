"""A back-fill whose process is killed and that is called again records what one that was left alone does."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest

from projections.follow.projector import Projector
from projections.rebuild.verify import verify
from service.simulator import Knobs
from tests.backfill.conftest import Backfill
from tests.backfill.test_backfill import counted
from tests.conftest import _new_database as new_database
from tests.given.asking import a_pool
from tests.given.board_state import on_board, projected
from tests.given.fake_board import SMALL, TINY, a_fake, environment
from tests.given.running import RECOUNT
from tests.given.running import environment as alone

RUNS_MAX = 200
SECONDS_MAX = 120


class Killed:
    """Runs `recount backfill` and kills it so many times, each a moment after a request of chance.

    That is one of the first few of a run, so that the board lasts for all kills.
    """

    def __init__(self, url: str, folder: Path, knobs: Knobs, kills: int, within: int) -> None:
        self.fake, self.product_id, self._within = a_fake(knobs), str(knobs.product_id), within
        self.left, self.made, self._chance = kills, 0, Random(kills)
        self._url, self._folder = url, folder
        self._process: asyncio.subprocess.Process | None = None
        self._at = 0
        self.fake.before_request = self._perhaps

    async def _perhaps(self, number: int) -> None:
        """Kill it while it waits for an answer, or a moment later: while it compares, appends or notes."""
        if self._process is not None and self.left and number >= self._at:
            process, self._process = self._process, None
            self.left, self.made = self.left - 1, self.made + 1
            after = self._chance.choice([0.0, self._chance.uniform(0, 0.05)])
            asyncio.get_running_loop().call_later(after, process.send_signal, signal.SIGKILL)

    async def run(self, address: str) -> int:
        """Return what it ended with."""
        self._at = len(self.fake.asked) + self._chance.randint(1, self._within)
        self._process = process = await asyncio.create_subprocess_exec(
            str(RECOUNT),
            *("backfill", "--product", self.product_id, "--rate", "100"),
            env=alone(environment(self.fake, self._url, address) | {"RECOUNT_DATA_DIR": str(self._folder)}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return await asyncio.wait_for(process.wait(), SECONDS_MAX)


@pytest.mark.parametrize(
    ("kills", "knobs", "within"),
    [(3, TINY, 12), pytest.param(40, SMALL, 2, marks=[pytest.mark.torture, pytest.mark.slow])],
)
async def test_killed_and_called_again_it_records_what_it_would_have(
    kills: int,
    knobs: Knobs,
    within: int,
    back_fill: Backfill,
    pool: asyncpg.Pool,
    server_url: str,
    template: str,
    tmp_path: Path,
) -> None:
    async with new_database(server_url, template) as url, a_pool(url) as other:
        killed = Killed(url, tmp_path, knobs, kills, within)
        async with killed.fake.serving() as address:
            for _ in range(RUNS_MAX):
                code = await killed.run(address)
                if code == 0:
                    break
                assert code == -signal.SIGKILL
                # As if half a minute had passed, after which a dead process's turn is over.
                await other.execute(
                    "update read_model.lease set expires = clock_timestamp() - interval '1 s'"
                )
            asked = len(killed.fake.asked)
            killed.left = 0
            await back_fill(killed.fake, address, product_id=knobs.product_id)
        await Projector(other).catch_up()
        await Projector(pool).catch_up()

        assert killed.made == kills
        assert asked > len(killed.fake.asked) - asked
        assert await counted(other) == await counted(pool)
        state: dict[str, Any] = await projected(other, knobs.product_id)
        for kind, stands in on_board(killed.fake).items():
            assert state[kind] == stands, kind
        assert (await verify(other)).equal
        sweeps = await other.fetch("select state from log.sweeps")
        assert [row["state"] for row in sweeps] == ["COMPLETE"]
