"""Cells: split this one, forward what comes here late, let go of what another one has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.database import on_log
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import Group, agreed, json_option, note, print_records

if TYPE_CHECKING:
    from service.log.database import Pool


@click.group(cls=Group)
def cells() -> None:
    """Deal with products that other cells have.

    A cell is a Recount with a Postgres of its own that has the boards of some products; a router before all
    cells knows which has which (docs/scaling.md).
    """


@cells.command()
@click.argument("products", nargs=-1, type=int)
@click.option("--cell", help="The new cell's name: a backend of the router, as in its map.")
@click.option("--replica", required=True, help="The address of the replica that becomes its Postgres.")
@click.option(
    "--map",
    "path",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The router's map of cells.",
)
@click.option(
    "--socket",
    type=click.Path(dir_okay=False, path_type=Path),
    help="HAProxy's socket, to change its map while it runs. Default: somebody reloads it.",
)
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(1, 3600),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long the replica may take to follow, and the new cell to start.",
)
@click.option("--check", "only_check", is_flag=True, help="Say what stands in the way; change nothing.")
@click.option(
    "--undo", is_flag=True, help="Let the products come back; possible until the replica is promoted."
)
@click.option("--replica-lost", is_flag=True, help="With --undo: the replica will never come back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def split(
    products: tuple[int, ...],
    cell: str | None,
    replica: str,
    path: Path,
    socket: Path | None,
    wait_seconds: float,
    only_check: bool,
    undo: bool,
    replica_lost: bool,
    yes: bool,
) -> None:
    """Send PRODUCTS to a cell of their own.

    A streaming replica of this cell's Postgres is promoted and becomes the new cell's; no event is copied.
    What is delivered meanwhile is acknowledged and held, and recorded there. Begun again without PRODUCTS, it
    goes on where it was cut off.
    """

    from service.operate.cells import Split, cell_at
    from service.operate.cells_map import CellsMap, RunningRouter

    async def reloaded() -> None:
        question = f"{path} is changed: reload HAProxy, then go on?"
        await agreed(question, "once HAProxy is reloaded, the same command goes on; --socket has that done")

    async def walk(here: Pool) -> None:
        async with cell_at(replica, option="--replica") as there:
            router = None if socket is None else RunningRouter(socket)
            way = Split(here, there, given_settings(), CellsMap(path), router, reloaded, wait_seconds)
            if only_check:
                from_cell = await way.check(products, cell)
                click.echo(f"nothing stands in the way: {len(products)} products, from {from_cell} to {cell}")
                return
            if not yes and not undo:
                question = "Split this cell? Once the replica is promoted, that cannot be undone"
                await agreed(question)
            steps = way.undo(replica_lost=replica_lost) if undo else way.walk(products, cell)
            async for step in steps:
                click.echo(step)

    on_log(walk)
    if not undo and not only_check:
        note("next: drop the replica's slot here, if it had one; `recount cells release` on both frees disk")


@cells.command(name="forward")
@click.option("--cell", required=True, help="The cell that has the products.")
@click.option("--to", "address", required=True, help="The address of its Postgres.")
@data_dir_option
def forward_held(cell: str, address: str) -> None:
    """Record on another cell what was delivered here of its products.

    Deliveries of a product that has left are acknowledged and held: those that were in a spool when it left,
    and those that are still sent here.
    """

    from service.operate.cells import cell_at, forward

    async def run(here: Pool) -> int:
        async with cell_at(address, option="--to") as there:
            return await forward(here, there, given_settings(), cell)

    click.echo(f"{on_log(run)} deliveries recorded on cell {cell}")


@cells.command()
@click.argument("products", nargs=-1, type=int)
@data_dir_option
def release(products: tuple[int, ...]) -> None:
    """Let go of what other cells have: of all of it, or of PRODUCTS.

    Their rows leave the read model, which frees more than half of what they take. Their events stay: the log
    has no gaps. Begun again, it goes on.
    """

    from projections.rebuild.release import let_go
    from service.operate.cells import mark_released

    async def run(here: Pool) -> list[int]:
        released = await mark_released(here, products or None)
        await let_go(here, released, lambda product: note(f"product {product}"))
        return released

    click.echo(f"{len(on_log(run))} products let go of")


@cells.command(name="list")
@data_dir_option
@json_option
def list_elsewhere(as_json: bool) -> None:
    """List the products that other cells have, and what waits here to be forwarded."""
    from service.operate.cells import elsewhere

    found = on_log(elsewhere)
    print_records(
        ("product_id", "cell", "left_at", "released_at", "held"), [e._asdict() for e in found], as_json
    )


COMMANDS: tuple[click.Command, ...] = (cells,)
