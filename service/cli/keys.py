"""The keys of the webhook and the tokens of GraphQL: list, add, rotate, revoke."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from service.cli.database import on_log
from service.cli.options import data_dir_option, given_settings
from service.cli.terminal import Group, json_option, note, print_json, print_records
from service.errors import DataFolderNotWritable
from service.scopes import SCOPES

if TYPE_CHECKING:
    from service.web.key_files import KeyFiles
    from service.web.keys import Keys

T = TypeVar("T")


@click.group(cls=Group)
def keys() -> None:
    """Manage webhook keys and GraphQL tokens.

    Only digests are kept: a key is shown once, when it is made. A running service follows within seconds.
    Keys of RECOUNT_WEBHOOK_KEYS and RECOUNT_API_TOKENS are not listed here.
    """


@keys.command(name="list")
@data_dir_option
@json_option
def list_keys(as_json: bool) -> None:
    """List keys and tokens, with when each was last used."""
    columns = (
        "label",
        "kind",
        "product_id",
        "scopes",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
    )
    found = _on_keys(lambda keys: keys.list())
    _tell_local_key()
    print_records(
        columns, [{**key._asdict(), "scopes": "+".join(sorted(key.scopes))} for key in found], as_json
    )


@keys.command(name="add")
@click.argument("name")
@click.option("--api", is_flag=True, help="A token for GraphQL. Default: a key for the webhook.")
@click.option("--product", "product_id", type=int, help="Good for one product only.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(sorted(SCOPES)),
    help="What a token may do; may be repeated. Default: everything.",
)
@click.option("--days", type=click.IntRange(1, 36_500), help="Ends after so many days.")
@data_dir_option
@json_option
def add_key(
    name: str, api: bool, product_id: int | None, scopes: tuple[str, ...], days: int | None, as_json: bool
) -> None:
    """Make a key called NAME and print it, this once."""
    if scopes and not api:
        raise click.UsageError("--scope is for tokens: add --api")
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    secret = _on_keys(
        lambda keys: keys.add(
            "API" if api else "WEBHOOK",
            name,
            product_id=product_id,
            scopes=frozenset(scope for scope in SCOPES if scope in scopes),
            expires_at=expires_at,
        ),
        makes=True,
    )
    _show_secret(name, secret, as_json)
    _tell_local_key()


@keys.command(name="rotate")
@click.argument("name")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(0, 87_600),
    default=24,
    show_default=True,
    help="How long the old one works on.",
)
@data_dir_option
@json_option
def rotate_key(name: str, overlap_hours: float, as_json: bool) -> None:
    """Make another key called NAME and print it; the old one works on for a while."""
    secret = _on_keys(lambda keys: keys.rotate(name, overlap=timedelta(hours=overlap_hours)))
    _show_secret(name, secret, as_json)


@keys.command(name="revoke")
@click.argument("name")
@data_dir_option
def revoke_key(name: str) -> None:
    """Let every key called NAME open nothing any more."""
    click.echo(f"{_on_keys(lambda keys: keys.revoke(name))} revoked")


def _on_keys(work: Callable[[Keys], Coroutine[Any, Any, T]], *, makes: bool = False) -> T:
    """Run `work` on the keys of the settings; a data folder that works with their database learns of it."""
    from service.web.keys import Keys

    return on_log(lambda pool: work(Keys(pool, files=_files())), makes=makes)


def _files() -> KeyFiles:
    from service.log.known import KnownDatabase
    from service.web.key_files import KeyFiles

    settings = given_settings()
    return KeyFiles(KnownDatabase(settings.data_dir, settings.database_url))


def _tell_local_key() -> None:
    from service.web.key_files import LOCAL_KEY_FILE

    with suppress(DataFolderNotWritable):
        if _files().local_key() is not None:
            note(
                f"the key made at the first start opens as well ({LOCAL_KEY_FILE} in the data folder); "
                f"end it with: recount keys revoke {LOCAL_KEY_FILE}"
            )


def _show_secret(name: str, secret: str, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "secret": secret})
    else:
        note(f"{name}, shown this once:")
        click.echo(secret)


COMMANDS: tuple[click.Command, ...] = (keys,)
