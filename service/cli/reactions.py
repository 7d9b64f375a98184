"""The reactions: how each rule of RECOUNT_REACTIONS does; try one, pause it, have it tell something again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from service.cli.database import on_log, open_log_and_hub
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import Group, at_most, json_option, out, print_json, print_records

if TYPE_CHECKING:
    from service.config import Settings
    from service.log.database import Pool
    from service.reactions.cursors import Cursors

COLUMNS = ("name", "state", "position", "behind", "sent", "skipped", "sent_at", "failing_since", "problem")


@click.group(cls=Group)
def reactions() -> None:
    """Deal with what is told to other systems and people.

    RECOUNT_REACTIONS names a file of rules; a running service follows what is set here, and changes of the
    file, within seconds.
    """


@reactions.command(name="list")
@data_dir_option
@json_option
def list_(as_json: bool) -> None:
    """List the rules, with how far each is behind the log.

    PAUSED is one that somebody paused, STOPPED one that gave up, and why; ABSENT is in the file no more.
    """

    async def states(pool: Pool) -> list[dict[str, Any]]:
        return [
            {
                "name": one.name,
                "state": one.state if one.in_file else "ABSENT",
                "position": one.position,
                "behind": max(one.head - one.position, 0),
                "sent": one.sent,
                "skipped": one.skipped,
                "sent_at": one.sent_at,
                "failing_since": one.failing_since,
                "attempts": one.attempts,
                "problem": one.problem,
            }
            for one in (await _cursors(pool).all()).values()
        ]

    print_records(COLUMNS, on_log(states), as_json)


@reactions.command()
@click.argument("name")
@click.option("--send", is_flag=True, help="Send it, too; its id says that it is a trial.")
@data_dir_option
@json_option
def test(name: str, send: bool, as_json: bool) -> None:
    """Show what a rule would send for the newest event that it tells.

    Looks at the last 10,000 events. The rule's place stays as it is.
    """
    import uvloop

    shown = uvloop.run(_try(given_settings(), name, send))
    if as_json:
        print_json({"name": name, "sent": send, "shown": shown})
    else:
        out.print(shown, markup=False)


async def _try(settings: Settings, name: str, send: bool) -> str:
    from projections.declare import declare
    from projections.read_model import Reader
    from schema.context import Services
    from service.log.event_store import EventStore
    from service.operate import demo
    from service.operate.running import with_files_of_service
    from service.reactions.trial import try_rule

    async with open_log_and_hub(settings) as (pool, hub):
        async with pool.acquire() as connection:
            await declare(connection)
        labels = await demo.labels(pool, settings)
        store = EventStore(pool)
        services = Services(pool, Reader(pool), store, hub, settings, labels=labels)
        try:
            return await try_rule(services, with_files_of_service(settings), name, send=send)
        finally:
            await store.close()


@reactions.command()
@click.argument("name")
@data_dir_option
def pause(name: str) -> None:
    """Have a rule tell nothing until it is resumed; then it goes on where it was."""
    position = on_log(lambda pool: _cursors(pool).pause(name))
    click.echo(f"{name} is paused at {position}")


@reactions.command()
@click.argument("name")
@data_dir_option
def resume(name: str) -> None:
    """Have a rule go on where it was paused, or stopped."""
    position = on_log(lambda pool: _cursors(pool).resume(name))
    click.echo(f"{name} goes on after {position}")


@reactions.command()
@click.argument("name")
@click.option("--after", type=click.IntRange(min=0), required=True, help="The position to begin behind.")
@data_dir_option
def replay(name: str, after: int) -> None:
    """Have a rule tell all after a position, again or for the first time.

    What is told again has the same ids, by which receivers know that they have had it. With a position ahead
    of the rule's, what lies between is left out.
    """
    on_log(lambda pool: _cursors(pool).replay(name, after))
    click.echo(f"{name} begins after {after}")


@reactions.command()
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many at most.")
@data_dir_option
@json_option
def skipped(name: str | None, limit: int, as_json: bool) -> None:
    """List what rules gave up, the newest first: of one rule, or of all."""
    columns = ("reaction", "position", "ordinal", "skipped_at", "reason")
    found = on_log(lambda pool: _cursors(pool).skipped(name, limit + 1))
    print_records(columns, at_most(limit, found), as_json)


def _cursors(pool: Pool) -> Cursors:
    from service.reactions.cursors import Cursors

    return Cursors(pool)


COMMANDS: tuple[click.Command, ...] = (reactions,)
