"""Deterministic Sleekplan traffic: a believable board of an invented product, from one seed.

    for body in simulate(seed=7, events=50_000):
        ...

The same arguments give the same bytes, on any day and on any Python. The pieces: `Traffic` is the
board in motion and can go on after its history; `deliveries` shows what chaos did to each body;
`LABELS` is the file that names the board's status and type keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from service.simulator.chaos import Chaos, Delivery, disturb
from service.simulator.dice import Dice
from service.simulator.knobs import DEFAULT_ENDING, Knobs
from service.simulator.people import made_up
from service.simulator.scene import Unannounced
from service.simulator.traffic import Traffic

__all__ = [
    "DEFAULT_ENDING",
    "LABELS",
    "Chaos",
    "Delivery",
    "Knobs",
    "Traffic",
    "Unannounced",
    "deliveries",
    "made_up",
    "simulate",
]

LABELS = Path(__file__).with_name("labels.json")
"""The labels and roles of the simulated board's keys, in the form that RECOUNT_LABELS takes."""


def simulate(
    *,
    seed: int,
    events: int | None = None,
    months: int = 18,
    users: int = 900,
    items: int = 400,
    rate: float = 91.3,
    votes_share: float = 0.675,
    ending: datetime = DEFAULT_ENDING,
    product_id: int = 647288130,
    chaos: bool | Chaos = False,
) -> Iterator[bytes]:
    """Yield webhook bodies over the months before `ending`; see `Knobs` for what the arguments mean.

    Without chaos there are exactly `events` of them, in the order of their timestamps. With it they
    are all there too, but some late, and copies and noise come on top; no body holds a line break.
    """
    knobs = Knobs(
        seed=seed,
        events=events,
        months=months,
        users=users,
        items=items,
        rate=rate,
        votes_share=votes_share,
        ending=ending,
        product_id=product_id,
    )
    if chaos is False:
        return Traffic(knobs).history()
    return (delivery.body for delivery in deliveries(knobs, chaos))


def deliveries(knobs: Knobs, chaos: bool | Chaos = True) -> Iterator[Delivery]:
    """Yield what `simulate` yields, each body with what was done to it."""
    traffic = Traffic(knobs)
    if chaos is False:
        return (Delivery(body) for body in traffic.history())
    settings = Chaos() if chaos is True else chaos
    timed = ((traffic.at, body) for body in traffic.history())
    return disturb(timed, settings, Dice(knobs.seed, 7))
