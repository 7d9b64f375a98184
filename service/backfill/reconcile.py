"""Compares what is known with the board: finds what no webhook told, be it made, changed, moved or gone."""

from __future__ import annotations

from dataclasses import dataclass

from projections.read_model import Reader
from service.backfill.absence import Absences, before
from service.backfill.report import SweepReport
from service.backfill.run import WantedBoard, run_sweep
from service.backfill.sweep import Comparing, Watch, unwatched
from service.backfill.sweeps import SweepRecord
from service.config import Settings
from service.log.database import Pool
from service.log.hub import Hub


@dataclass(frozen=True)
class WantedReconcile:
    """How closely a board is compared, and how many of a kind may be gone beyond what is believed."""

    product_id: int | None = None
    full: bool = False
    accept_deletions: int = 0
    rate: float | None = None


async def reconcile(
    pool: Pool, hub: Hub, settings: Settings, wanted: WantedReconcile, watch: Watch = unwatched
) -> SweepReport:
    """Compare a board with what is known of it, and record the differences.

    Light, it asks for the votes, comments and followers of those items alone whose totals are others than
    what is known; two changes that cancel out escape it, and people who are gone. Full, it asks for all.
    What was withheld, as too much was gone, is in the report. Raises as `backfill`.
    """

    async def comparing(record: SweepRecord, reader: Reader, product_id: int) -> Comparing:
        head, looked_at = await before(pool, record)
        absences = Absences(pool, reader, record, product_id)
        return Comparing(absences, wanted.full, wanted.accept_deletions, head, looked_at)

    # What was withheld is looked at anew when somebody accepts it: it may have come back.
    board = WantedBoard(wanted.product_id, rate=wanted.rate, restart=wanted.accept_deletions > 0)
    asked = {"full": wanted.full}
    return await run_sweep(pool, hub, settings, board, "RECONCILE", asked, comparing, watch)
