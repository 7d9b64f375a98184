"""Tables of the board as files: what pyarrow reads of them is what GraphQL says."""

from __future__ import annotations

import asyncio
import csv
import errno
import io
import os
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pyarrow
import pytest
from pyarrow import parquet

from schema.views import VIEWS
from service.cli.export import PERSONAL, TABLES
from service.errors import ParquetNotInstalled
from service.operate.table_file import FileColumn, table_file
from service.simulator import simulate
from tests.given import folders
from tests.given.running import RECOUNT, Running, running
from tests.given.waiting import eventually

PRODUCT = 647288130
EVENTS = 400
EVEN_DELETED = ", filter: {deleted: null}"
PARTS = (("status", "key"), ("votes", "up"), ("votes", "net"), ("author", "sleekplanId"))


@pytest.fixture(scope="module")
async def board(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service with the samples and a made-up board of another product, whose views are made."""
    folder = tmp_path_factory.mktemp("warehouse")
    async with running(folder / "data") as service:
        bodies = [path.read_bytes() for path in sorted(folders.PAYLOADS.glob("*.json"))]
        bodies += simulate(seed=3, events=EVENTS, items=20, users=40, product_id=PRODUCT)
        async with aiohttp.ClientSession() as session:
            for body in bodies:
                async with session.post(service.webhook_url, data=body) as answer:
                    assert answer.status == 200
        ready = folder / "ready.csv"

        async def makes_them() -> bool:
            made = await service.run("export", "--format", "csv", "--of", "items", "-o", ready)
            return made.returncode == 0

        await eventually(makes_them, 60)
        yield service


async def _table(service: Running, path: Path, *arguments: str) -> pyarrow.Table:
    ended = await service.run("export", "--format", "parquet", *arguments, "--output", path)
    assert ended.returncode == 0, ended.stderr
    return parquet.read_table(path)


async def _nodes(service: Running, field: str, selected: str, arguments: str = "") -> list[dict[str, Any]]:
    """Return all that a list of GraphQL's holds."""
    query = f"""query($after: String) {{
      {field}(first: 500, after: $after{arguments}) {{
        nodes {{ {selected} }} pageInfo {{ endCursor hasNextPage }}
      }}
    }}"""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = (await service.ask(query, after=after))[field]
        found += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def test_there_is_a_table_for_each_view() -> None:
    names = [view.name for view in VIEWS]

    assert list(TABLES) == [name for name in names if name != "read_at" and not name.endswith("_personal")]
    assert {f"{name}_personal" for name in PERSONAL} == {name for name in names if name.endswith("_personal")}


async def test_items_are_those_of_graphql(board: Running, tmp_path: Path) -> None:
    table = await _table(board, tmp_path / "items.parquet", "--of", "items")
    selected = """productId sleekplanId title deleted createdAt tags commentCount
                  status { key } votes { up down net } author { sleekplanId }"""

    assert table.schema.field("created_at").type == pyarrow.timestamp("us", tz="UTC")
    assert table.schema.field("tags").type == pyarrow.list_(pyarrow.string())
    assert _by_item(
        (
            row["item_id"], str(row["product_id"]), row["title"], row["deleted"], row["created_at"],
            row["tags"], row["comment_count"], row["status"],
            row["votes_up"], row["votes_net"], row["author_id"],
        )
        for row in table.to_pylist()
    ) == _by_item(
        (
            node["sleekplanId"], node["productId"], node["title"], node["deleted"],
            _moment(node["createdAt"]), node["tags"], node["commentCount"],
            *((node[name] or {}).get(part) for name, part in PARTS),
        )
        for node in await _nodes(board, "items", selected, EVEN_DELETED)
    )  # fmt: skip


def _by_item(rows: Any) -> list[Any]:
    return sorted(rows, key=lambda row: (row[1], row[0]))


async def test_votes_and_events_are_those_of_graphql(board: Running, tmp_path: Path) -> None:
    votes = await _table(board, tmp_path / "votes.parquet", "--of", "votes", "--product", str(PRODUCT))
    events = await _table(board, tmp_path / "events.parquet", "--of", "events")
    nodes = await _nodes(board, "events", "position type action occurredAt recordedAt changedFields")

    assert votes.num_rows == len(await _nodes(board, "votes", "value", f', productId: "{PRODUCT}"'))
    assert [
        (
            row["position"], row["type"], row["action"], row["occurred_at"], row["recorded_at"],
            row["changed_fields"],
        )
        for row in events.to_pylist()
    ] == [
        (
            node["position"], node["type"], node["action"], _moment(node["occurredAt"]),
            _moment(node["recordedAt"]), node["changedFields"],
        )
        for node in sorted(nodes, key=lambda node: int(node["position"]))
    ]  # fmt: skip


async def test_csv_says_the_same_and_tells_what_is_empty_from_what_is_null(
    board: Running, tmp_path: Path
) -> None:
    table = await _table(board, tmp_path / "items.parquet", "--of", "items")
    ended = await board.run("export", "--format", "csv", "--of", "items")
    head, *rows = csv.reader(io.StringIO(ended.stdout))

    assert head == table.column_names
    assert len(rows) == table.num_rows
    titles = dict(zip((row[head.index("item_id")] for row in rows), rows, strict=True))
    for said in table.to_pylist():
        row = dict(zip(head, titles[said["item_id"]], strict=True))
        assert row["title"] == (said["title"] or "")
        assert _moment(row["created_at"] or None) == said["created_at"]
        assert row["deleted"] == ("true" if said["deleted"] else "false")


async def test_items_as_of_a_position_are_those_of_graphql(board: Running, tmp_path: Path) -> None:
    selected, asked = "sleekplanId productId title votes { net }", f", asOf: {{position: {EVENTS // 2}}}"

    table = await _table(board, tmp_path / "then.parquet", "--of", "items", "--as-of", str(EVENTS // 2))
    nodes = await _nodes(board, "items", selected, asked)

    shown = table.filter(pyarrow.compute.invert(table["deleted"]))
    assert sorted((row["item_id"], row["title"], row["votes_net"]) for row in shown.to_pylist()) == sorted(
        (node["sleekplanId"], node["title"], (node["votes"] or {}).get("net")) for node in nodes
    )
    assert shown.num_rows > 0


async def test_items_as_of_a_position_that_is_still_to_come_are_refused(
    board: Running, tmp_path: Path
) -> None:
    path = tmp_path / "then.csv"
    asked = ("--format", "csv", "--of", "items", "--as-of", "99999", "--output", str(path))

    ended = await board.run("export", *asked)

    assert ended.returncode == 1
    assert "asOf position 99999 is ahead of what has been projected" in ended.stderr
    assert not path.exists()


async def test_what_is_personal_is_there_only_where_it_is_asked_for(board: Running, tmp_path: Path) -> None:
    plain = await _table(board, tmp_path / "users.parquet", "--of", "users")
    personal = await _table(board, tmp_path / "personal.parquet", "--of", "users", "--personal")
    bodies = await _table(board, tmp_path / "bodies.parquet", "--of", "events", "--personal")
    events = await _table(board, tmp_path / "events.parquet", "--of", "events")

    assert {"mail", "full_name"} & set(plain.column_names) == set()
    assert {"mail", "full_name"} <= set(personal.column_names)
    mails = {row["mail"] for row in personal.to_pylist()} - {None}
    assert mails == {node["mail"] for node in await _nodes(board, "users", "mail", EVEN_DELETED)} - {None}
    assert mails
    assert "raw_payload" not in events.column_names
    assert all('"data"' in row["raw_payload"] for row in bodies.to_pylist())


async def test_it_goes_to_standard_output_and_to_a_fifo(board: Running, tmp_path: Path) -> None:
    fifo, arguments = tmp_path / "fifo", ("export", "--format", "parquet", "--of", "votes")
    os.mkfifo(fifo)

    ended, read = await asyncio.gather(
        board.run(*arguments, "--output", fifo), asyncio.to_thread(fifo.read_bytes)
    )
    assert ended.returncode == 0
    port = board.address.rpartition(":")[2]
    process = await asyncio.create_subprocess_exec(
        RECOUNT, *arguments,
        env=os.environ | {"RECOUNT_DATA_DIR": str(board.data_dir), "RECOUNT_PORT": port},
        cwd=folders.ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    piped, complained = await process.communicate()

    assert process.returncode == 0, complained
    assert b"position" in complained
    assert parquet.read_table(io.BytesIO(read)).num_rows == parquet.read_table(io.BytesIO(piped)).num_rows > 0


def test_without_pyarrow_it_is_said_in_a_line_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ParquetNotInstalled, match=r"pip install 'recount-feedback\[parquet\]'") as refused:
        table_file("parquet", io.BytesIO(), [FileColumn("title", "text")])

    assert "\n" not in str(refused.value)
    table_file("csv", io.BytesIO(), [FileColumn("title", "text")])


def test_a_file_that_is_lost_is_written_to_no_more() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell():
                raise OSError(errno.ENOSPC, "no space left")
            return super().write(data)

    table = table_file("parquet", Full(), [FileColumn("title", "text")])
    with pytest.raises(OSError, match="no space"):
        table.write([["Dark mode"]])

    table.abandon()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "csv"), "--of says which table"),
        (("--of", "items"), "add --format"),
        (("--format", "csv", "--of", "votes", "--personal"), "votes has nothing that is personal"),
        (("--format", "csv", "--of", "votes", "--as-of", "12"), "--as-of is of items"),
        (("--format", "csv", "--of", "items", "--recorded"), "--recorded of --as-of"),
        (("--format", "csv", "--of", "items", "--after", "12"), "--after is of events"),
        (("--format", "csv", "--of", "items", "--as-of", "soon"), "is no position, day, moment or span"),
    ],
)
async def test_what_does_not_go_together_is_refused(
    board: Running, arguments: tuple[str, ...], said: str
) -> None:
    ended = await board.run("export", *arguments)

    assert ended.returncode == 2
    assert said in ended.stderr
