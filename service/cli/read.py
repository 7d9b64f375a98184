"""Reading in a terminal: an item's history, the board as it was, the schema.

The same GraphQL documents as over HTTP, executed in this process: a service may run beside it or not.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import orjson

from service.cli.commands import NUMBERS_END
from service.cli.database import open_projected
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import for_people, json_option, out, print_json, print_table
from service.errors import BadId, NotFound, QueryFailed

if TYPE_CHECKING:
    from service.config import Settings

_ITEM = """
query History($id: ID, $productId: ID, $sleekplanId: ID, $first: Int) {
  item(id: $id, productId: $productId, sleekplanId: $sleekplanId) {
    id sleekplanId productId title description status { key label } votes { up down net }
    commentCount subscriberCount createdAt deletedAt
    statusHistory { to { key label } enteredAt lasted }
    timeline(first: $first, orderBy: {field: POSITION, direction: DESC}) {
      nodes {
        position occurredAt type origin summary changes { field before after }
      }
    }
  }
}
"""

_BOARD = """
query AsOf($asOf: AsOf!, $productId: ID, $first: Int) {
  items(asOf: $asOf, productId: $productId, first: $first, orderBy: {field: VOTES, direction: DESC}) {
    totalCount
    nodes { sleekplanId productId title status { key label } votes { up down net } commentCount }
  }
}
"""

_AGO = re.compile(r"(\d+)\s*(minutes?|hours?|days?|weeks?)(?:\s+ago)?")


@click.command()
@click.argument("item")
@click.option("--product", "product_id", type=int, help="The product, where several have an item of this id.")
@click.option(
    "--first",
    type=click.IntRange(1, 500),
    default=100,
    show_default=True,
    help="How many events, the newest first.",
)
@data_dir_option
@json_option
def history(item: str, product_id: int | None, first: int, as_json: bool) -> None:
    """Tell what happened to an item.

    Its statuses come first, then every event about it, the newest first. ITEM is Sleekplan's id (with
    --product where several products have it) or our opaque one.
    """
    found = _ask(_ITEM, {**_which(item, product_id), "first": first})["item"]
    if found is None:
        raise NotFound("item", item)
    if as_json:
        print_json(found)
    else:
        _print_history(found)


def _which(item: str, product_id: int | None) -> dict[str, Any]:
    if product_id is None:
        from schema.ids import decode_id

        try:
            decode_id(item)
        except BadId:
            pass
        else:
            return {"id": item}
    return {"sleekplanId": item, "productId": None if product_id is None else str(product_id)}


def _print_history(item: dict[str, Any]) -> None:
    votes = item["votes"] or {"up": None, "down": None}
    out.print(item["title"] or f"item {item['sleekplanId']}", style="bold", markup=False)
    out.print(
        f"{_status(item['status'])}, {_or_dash(votes['up'])} up, {_or_dash(votes['down'])} down, "
        f"{_or_dash(item['commentCount'])} comments"
        + (f", deleted {_moment(item['deletedAt'])}" if item["deletedAt"] else ""),
        markup=False,
    )
    out.print("")
    print_table(
        ("status", "entered", "lasted"),
        [
            (_status(row["to"]), _moment(row["enteredAt"]), _lasted(row["lasted"]))
            for row in item["statusHistory"]
        ],
    )
    out.print("")
    print_table(
        ("position", "occurred", "what", "changed"),
        [
            (event["position"], _moment(event["occurredAt"]), event["summary"], _changes(event["changes"]))
            for event in item["timeline"]["nodes"]
        ],
    )


def _changes(changes: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"{change['field']}: {_short(change['before'])} → {_short(change['after'])}" for change in changes
    )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:39]}…"


@click.command()
@click.argument("when")
@click.option("--product", "product_id", type=int, help="One product's board only.")
@click.option("--first", type=click.IntRange(1, 500), default=20, show_default=True, help="How many items.")
@click.option(
    "--recorded", is_flag=True, help="WHEN is on our clock: what was known then, not what had happened."
)
@data_dir_option
@json_option
def asof(when: str, product_id: int | None, first: int, recorded: bool, as_json: bool) -> None:
    """Show the board as it was at a moment.

    The items with the most votes come first. WHEN is a position (812), a day (2026-06-14, as it began), a
    moment (2026-06-14T09:13:10Z; UTC unless it says otherwise) or a span back from now ("3 days ago").
    """
    as_of = as_of_when(when, recorded, datetime.now(UTC))
    variables = {"asOf": as_of, "productId": None if product_id is None else str(product_id), "first": first}
    found = _ask(_BOARD, variables)["items"]
    if as_json:
        print_json(found)
        return
    # An item's id is unique within its product alone.
    several = len({node["productId"] for node in found["nodes"]}) > 1
    print_table(
        ("item", *(["product"] if several else []), "title", "status", "up", "down", "comments"),
        [
            (
                node["sleekplanId"],
                *([node["productId"]] if several else []),
                node["title"],
                _status(node["status"]),
                (node["votes"] or {}).get("up"),
                (node["votes"] or {}).get("down"),
                node["commentCount"],
            )
            for node in found["nodes"]
        ],
    )
    shown = len(found["nodes"])
    if shown < found["totalCount"]:
        out.print(f"the first {shown} of {found['totalCount']}")


def as_of_when(when: str, recorded: bool, now: datetime) -> dict[str, Any]:
    """Return the argument `asOf`.

    >>> as_of_when("812", False, datetime(2026, 1, 1, tzinfo=UTC))
    {'position': 812}
    >>> as_of_when("2 days ago", True, datetime(2026, 1, 3, tzinfo=UTC))
    {'time': '2026-01-01T00:00:00+00:00', 'clock': 'RECORDED'}
    """
    if when.isdecimal() and int(when) < NUMBERS_END:
        return {"position": int(when)}
    ago = _AGO.fullmatch(when.strip().lower())
    try:
        if ago:
            unit = ago[2] if ago[2].endswith("s") else f"{ago[2]}s"
            moment = now - timedelta(**{unit: int(ago[1])})
        else:
            moment = datetime.fromisoformat(when)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{when!r} is no position, day, moment or span such as '3 days ago'", param_hint="WHEN"
        ) from None
    return {"time": moment.isoformat(), "clock": "RECORDED" if recorded else "OCCURRED"}


@click.command(name="schema")
def print_schema() -> None:
    """Print the GraphQL schema.

    Every type and field is described. Needs no database."""
    from schema.build import printed

    click.echo(printed(), nl=False)


def _ask(document: str, variables: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_execute(given_settings(), document, variables))


async def _execute(settings: Settings, document: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a document's answer, once everything recorded so far is projected."""
    from projections.read_model import Reader
    from schema.answer.documents import Request
    from schema.answer.execute import Operations
    from schema.build import build_schema
    from schema.context import Caller, Context, Services
    from service.log.event_store import EventStore
    from service.operate import demo
    from service.operate.running import with_files_of_service
    from service.scopes import SCOPES

    # What is read on a screen is what may be shown on one: private notes of the team are no part of it.
    board_alone = Caller(SCOPES - {"personal"})
    async with open_projected(settings) as (pool, hub):
        labels = await demo.labels(pool, with_files_of_service(settings))
        services = Services(pool, Reader(pool), EventStore(pool), hub, settings, labels=labels)
        operations = Operations(build_schema())
        try:
            answer = await operations.execute(Request(document, variables), Context(services, board_alone))
        finally:
            operations.close()
    content = orjson.loads(answer.body)
    if content.get("errors"):
        raise QueryFailed(content["errors"][0]["message"])
    data: dict[str, Any] = content["data"]
    return data


def _status(status: dict[str, Any] | None) -> str:
    return "–" if status is None else status["label"] or status["key"]


def _moment(text: str | None) -> str:
    return "" if text is None else text[:19].replace("T", " ")


def _lasted(duration: str) -> str:
    from pydantic import TypeAdapter

    return for_people(TypeAdapter(timedelta).validate_python(duration).total_seconds())


def _or_dash(value: object) -> str:
    return "–" if value is None else str(value)


COMMANDS: tuple[click.Command, ...] = (history, asof, print_schema)
