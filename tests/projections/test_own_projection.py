"""A projection of one's own: found by its entry point, followed, rebuilt and verified like ours."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import asyncpg
import pytest

from projections import catalogue
from projections.declare import drop_absent
from projections.follow.parking import parked_list, parked_retry
from projections.follow.projector import Projector
from projections.read_model import tables
from projections.rebuild.differences import would_change
from projections.rebuild.rebuild import rebuild, stale
from projections.rebuild.verify import verify
from projections.status import status
from service import sql_files
from service.errors import ProjectionNotDropped, ProjectionUnusable
from tests.given.folders import ROOT
from tests.given.projecting import PRODUCT, a_history, payload, record
from tests.given.running import recount

EXAMPLE = ROOT / "examples" / "votes_by_mail_domain"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example as pip would leave it: its two files, and the metadata that names the entry point."""
    for name in ("votes_by_mail_domain.py", "votes_by_mail_domain.sql"):
        (tmp_path / name).write_text((EXAMPLE / name).read_text())
    metadata = tmp_path / "recount_votes_by_mail_domain-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: recount-votes-by-mail-domain\nVersion: 1\n"
    )
    (metadata / "entry_points.txt").write_text(
        "[recount.projections]\nvotes_by_mail_domain = votes_by_mail_domain:votes_by_mail_domain\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    catalogue.plugins.cache_clear()
    yield tmp_path
    sys.modules.pop("votes_by_mail_domain", None)
    catalogue.plugins.cache_clear()


def _votes(domain: str, count: int, *, day: int = 0, product_id: int = PRODUCT) -> list[dict[str, object]]:
    bodies = []
    for number in range(count):
        body = payload("vote.create", product_id=product_id, timestamp=1781428382 + number + day * 86400)
        body["data"]["user"] |= {"user_id": number + 1000, "data_mail": f"u{number}@{domain}"}
        bodies.append(body)
    return bodies


async def _counted(pool: asyncpg.Pool) -> Counter[str]:
    table = (await tables(pool)).names["votes_by_mail_domain"]
    rows = await pool.fetch(f"select domain, sum(votes)::int as votes from {table} group by domain")
    return Counter({row["domain"]: row["votes"] for row in rows})


async def test_it_is_found_by_its_entry_point(installed: Path) -> None:
    assert [projection.name for projection in catalogue.plugins()] == ["votes_by_mail_domain"]
    assert any(found.metadata["Name"] == "recount-votes-by-mail-domain" for found in distributions())


async def test_it_is_followed_rebuilt_and_verified_like_ours(installed: Path, pool: asyncpg.Pool) -> None:
    await record(pool, [*_votes("example.com", 3), *_votes("example.org", 2, day=1), *a_history(30)])
    await Projector(pool, events_a_step_max=2).catch_up()
    followed = await _counted(pool)
    assert followed["example.org"] == 2

    await rebuild(pool, ["votes_by_mail_domain"])

    assert await _counted(pool) == followed
    report = await verify(pool)
    assert report.equal
    assert "votes_by_mail_domain" in {table.table for table in report.tables}


async def test_its_table_in_use_is_found_as_the_documentation_says(
    installed: Path, pool: asyncpg.Pool
) -> None:
    await record(pool, _votes("example.com", 3))
    await Projector(pool).catch_up()
    text = (ROOT / "docs" / "projections.md").read_text()
    [asked] = re.findall(r"```sql\n(select 'read_model.*?)```", text, re.DOTALL)

    for _ in range(2):
        [(name, position)] = await pool.fetch(asked)
        assert name == (await tables(pool)).names["votes_by_mail_domain"]
        assert await pool.fetchval(f"select sum(votes) from {name}") == position == 3
        await rebuild(pool, ["votes_by_mail_domain"])


async def test_one_that_reads_the_log_itself_is_counted_again_of_one_product_alone(
    installed: Path, pool: asyncpg.Pool
) -> None:
    file = installed / "votes_by_mail_domain.sql"
    tables_of_it, _, _ = file.read_text().partition("-- name: apply")
    reads_the_log = """-- name: apply.votes
insert into {votes_by_mail_domain} (product_id, day, domain, votes)
select e.product_id, e.occurred_at::date, e.data -> 'user' ->> 'data_mail', count(*)
  from log.events e
 where e.entity = 'vote' and e.position > $1 and e.position <= $2
 group by 1, 2, 3;
"""
    file.write_text(tables_of_it + reads_the_log)
    await record(pool, [*_votes("example.com", 3), *_votes("example.org", 2, product_id=99)])
    await Projector(pool).catch_up()
    followed = await _counted(pool)

    await rebuild(pool, ["votes_by_mail_domain"], product_id=99)

    assert await _counted(pool) == followed
    async with pool.acquire() as connection, connection.transaction():
        assert await would_change(connection, 99) == []


async def test_installed_later_it_is_filled_from_the_whole_log(
    pool: asyncpg.Pool, request: pytest.FixtureRequest
) -> None:
    await record(pool, _votes("example.com", 4))
    await Projector(pool).catch_up()

    request.getfixturevalue("installed")
    await Projector(pool).catch_up()

    assert await _counted(pool) == Counter({"example.com": 4})


async def test_adding_a_column_is_editing_the_file_and_one_command(
    installed: Path, pool: asyncpg.Pool
) -> None:
    await record(pool, _votes("example.com", 4))
    await Projector(pool).catch_up()
    file = installed / "votes_by_mail_domain.sql"
    text = file.read_text()
    text = text.replace(
        "    votes       int    not null\n", "    votes       int    not null,\n    of_team int\n"
    )
    file.write_text(text)
    sys.modules.pop("votes_by_mail_domain")
    catalogue.plugins.cache_clear()
    sql_files._statements.cache_clear()
    assert await stale(pool) == ["votes_by_mail_domain"]

    await rebuild(pool, ["votes_by_mail_domain"])

    assert await stale(pool) == []
    table = (await tables(pool)).names["votes_by_mail_domain"]
    assert await pool.fetchval(f"select count(*) from {table} where of_team is null") == 1


async def test_one_that_fails_holds_no_other_up_and_can_be_retried(
    installed: Path, pool: asyncpg.Pool
) -> None:
    async with Projector(pool).turn():
        pass
    table = (await tables(pool)).names["votes_by_mail_domain"]
    await pool.execute(f"alter table {table} add constraint surprise check (domain <> 'example.org')")
    head = await record(pool, [*_votes("example.com", 2), *_votes("example.org", 1, day=1)])

    await Projector(pool).catch_up()

    (parked,) = await parked_list(pool)
    assert parked.projection == "votes_by_mail_domain"
    assert {s.position for s in await status(pool)} == {head}
    assert await _counted(pool) == Counter({"example.com": 2})
    await pool.execute(f"alter table {table} drop constraint surprise")
    assert (await parked_retry(pool, parked.position)).done
    assert await _counted(pool) == Counter({"example.com": 2, "example.org": 1})


@pytest.fixture
async def uninstalled(
    installed: Path, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, ...]:
    """The names of the tables that the example left when it was uninstalled."""
    await record(pool, _votes("example.com", 4))
    await Projector(pool).catch_up()
    with pytest.raises(ProjectionNotDropped, match="it is installed here; uninstall its package first"):
        await drop_absent(pool, "votes_by_mail_domain")
    found = await tables(pool)
    sys.path.remove(str(installed))
    catalogue.plugins.cache_clear()
    [absent] = [standing for standing in await status(pool) if standing.state == "ABSENT"]
    assert absent.name == "votes_by_mail_domain"
    return (found.names["votes_by_mail_domain"],)


async def test_the_tables_of_one_that_was_uninstalled_are_dropped_by_a_command(
    uninstalled: tuple[str, ...],
    installed: Path,
    pool: asyncpg.Pool,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env = {"RECOUNT_DATABASE_URL": database_url}
    doctor = await recount("doctor", "--json", env=env)
    [mend] = [each["mend"] for each in json.loads(doctor.stdout) if "not installed here" in each["text"]]
    assert mend == "install it again; to be rid of it: recount projections drop votes_by_mail_domain"

    asked = await recount("projections", "drop", "votes_by_mail_domain", env=env)
    assert (asked.returncode, asked.stdout) == (130, "")
    assert "Drop the tables of the projection votes_by_mail_domain?" in asked.stderr

    told = await recount("projections", "drop", "votes_by_mail_domain", "--yes", env=env)

    assert told.stdout == f"dropped: {uninstalled[0]}\n"
    assert await pool.fetchval("select to_regclass($1)", uninstalled[0]) is None
    assert {standing.state for standing in await status(pool)} == {"LIVE"}
    refused = await recount("projections", "drop", "votes_by_mail_domain", "--yes", env=env)
    assert "there is no projection 'votes_by_mail_domain'; there are: changelog, comments" in refused.stderr

    monkeypatch.syspath_prepend(str(installed))
    catalogue.plugins.cache_clear()
    await Projector(pool).catch_up()
    assert await _counted(pool) == Counter({"example.com": 4})


async def test_tables_that_somebodys_view_stands_on_stay_and_the_refusal_says_so(
    uninstalled: tuple[str, ...], pool: asyncpg.Pool
) -> None:
    await pool.execute(f"create view mine as select * from {uninstalled[0]}")

    with pytest.raises(ProjectionNotDropped, match="a view of somebody's own reads them; drop that first"):
        await drop_absent(pool, "votes_by_mail_domain")

    assert await pool.fetchval("select count(*) from mine") == 1
    assert {standing.state for standing in await status(pool)} == {"LIVE", "ABSENT"}


MINE = "-- name: tables\ncreate table {mine} (product_id bigint not null, names text[]);"


def test_braces_in_texts_and_comments_are_no_places(installed: Path) -> None:
    (installed / "votes_by_mail_domain.sql").write_text(
        f"{MINE}\n-- name: apply.count\n-- As {{items}} does.\n"
        "insert into {mine} select h.product_id, '{it''s,ours}' || '{items}'::text[] from {hot} h;\n"
        "-- name: report\nselect * from {whatever}"
    )
    catalogue.plugins.cache_clear()
    sql_files._statements.cache_clear()

    [projection] = catalogue.plugins()

    assert projection.tables == ("mine",)


def test_its_tables_may_be_written_as_sql_allows(installed: Path) -> None:
    (installed / "votes_by_mail_domain.sql").write_text(
        "-- name: tables\nCREATE TABLE {mine} (product_id bigint not null);\n"
        "create  table if not exists {more} (product_id bigint not null);\n"
        "-- name: apply.count\ninsert into {mine} select h.product_id from {hot} h;\n"
    )
    catalogue.plugins.cache_clear()
    sql_files._statements.cache_clear()

    [projection] = catalogue.plugins()

    assert projection.tables == ("mine", "more")


UNUSABLE = {
    "its module lacks something": ("import no_such_module", None, "cannot be loaded: ModuleNotFoundError"),
    "its name is not there": ("something_else = 1", None, "cannot be loaded: AttributeError"),
    "it is no projection": ("votes_by_mail_domain = 5", None, "a value of the type int"),
    "its name is one of ours": (
        'from projections.catalogue import from_file\nvotes_by_mail_domain = from_file(__file__, "items")',
        None,
        "has the name of another, 'items'",
    ),
    "it has no tables": (None, "-- name: apply.count\nselect 1 from {hot} h", "has no tables"),
    "its table has the name of one of ours": (
        None,
        "-- name: tables\ncreate table {votes} (product_id bigint not null);",
        "makes {votes}, which 'votes' has",
    ),
    "its table has no product": (
        None,
        "-- name: tables\ncreate table {mine} (day date not null);",
        "makes {mine} without a column product_id",
    ),
    "it reads a table of another": (
        None,
        MINE + "\n-- name: apply.count\ninsert into {mine} select i.product_id from {items} i",
        "reads {items} in its statement `apply.count`, which is no place that it has; "
        "there are {hot}, {mine}: others' tables may be of another position",
    ),
    "it misspells a table of its own": (
        None,
        MINE + "\n-- name: indexes\ncreate index on {mime} (product_id);",
        "reads {mime} in its statement `indexes`",
    ),
    "a table of several has a digit in its name": (
        None,
        MINE + "\ncreate table {mine_2} (product_id bigint);\n-- name: apply.count\nselect 1 from {hot} h",
        "reads {mine_2} in its statement `tables`, which is no place that it has",
    ),
    "it misspells what a statement is for": (
        None,
        MINE + "\n-- name: aply.count\ninsert into {mine} select h.product_id from {hot} h",
        "has a statement `aply.count`, which nothing would run; what is run is named tables, keys",
    ),
    "it says of a statement only what it is for": (
        None,
        MINE + "\n-- name: apply\ninsert into {mine} select h.product_id from {hot} h",
        "has a statement `apply`, which nothing would run",
    ),
    "nothing fills its tables": (None, MINE, "counts nothing; what is run is named"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_one_that_cannot_be_one_is_refused_in_words_before_anything_is_made(
    installed: Path, name: str
) -> None:
    module, statements, said = UNUSABLE[name]
    if module is not None:
        (installed / "votes_by_mail_domain.py").write_text(module)
        (installed / "items.sql").write_text((installed / "votes_by_mail_domain.sql").read_text())
    if statements is not None:
        (installed / "votes_by_mail_domain.sql").write_text(statements)
    catalogue.plugins.cache_clear()
    sql_files._statements.cache_clear()

    with pytest.raises(ProjectionUnusable) as refused:
        catalogue.plugins()

    assert said in str(refused.value)
    assert "votes_by_mail_domain:votes_by_mail_domain" in str(refused.value)
    assert "mend its package, or uninstall it" in str(refused.value)
