"""A date inside an object is the same moment, whether the API lists it or a webhook tells it."""

from __future__ import annotations

from random import Random
from string import digits
from typing import Final

import asyncpg
from hypothesis import given
from hypothesis import strategies as st

from service.backfill.compose import read_date
from tests.given.plain_world import examples, run_examples

ODD = (
    *(
        "2026-05-01 10:00:00",
        "2026-05-01T10:00:00",
        "2026-05-01 10:00+02",
        "2026-W18-5 10:00:00",
        "20260501100000",
    ),
    *("0000-00-00 00:00:00", "0999-12-31 00:00:00", "2026-02-29 00:00:00", "2024-02-29 23:59:59"),
    *("2026-05-01 24:00:00", "2026-05-01 23:59:60", "2026-05-01 10:00:0", "2026-05-01 10:00:00Z", ""),
    *("٢٠٢٦-05-01 10:00:00", "2026-05-01 10:0٠:00", "2026-05-01 10:00:00\n", " 026-05-01 10:00:00"),
)


def texts(*places: str) -> st.SearchStrategy[str]:
    """Texts with a character of each place in turn, from one number: a draw for each costs far more."""
    return st.integers(0, 2**24 - 1).map(lambda seed: "".join(map(Random(seed).choice, places)))


LIKE_A_DATE: Final = (
    *(*[digits] * 4, "-", "01", digits, "-", "0123", digits, " "),
    *("012", digits, ":", "0123456", digits, ":", "0123456", digits),
)
DATES = st.one_of(st.sampled_from(ODD), texts(*LIKE_A_DATE), texts(*[f"{digits}TZW+:.- "] * 19))


async def test_a_row_of_the_api_and_a_webhook_are_read_alike(pool: asyncpg.Pool) -> None:
    @examples(50)
    @given(st.lists(DATES, min_size=100, max_size=200))
    async def holds(dates: list[str]) -> None:
        read = await pool.fetch(
            "select read_model.moment_of(d.said) as moment"
            "  from unnest($1::text[]) with ordinality as d (said, place) order by d.place",
            dates,
        )
        assert [row["moment"] for row in read] == [read_date(said) for said in dates]

    await run_examples(holds)
