"""Addresses: nothing is told of the database's, and by our own each command finds the service."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.dsn import Dsn
from service.postgres.binaries import find_binaries
from tests.given.command_tree import all_commands, arguments
from tests.given.commands import Commands, commands
from tests.given.folders import PAYLOADS
from tests.given.running import RECOUNT, environment, recount, running

CALLS = [
    *(tuple(arguments(name, "/dev/null")) for name in all_commands() if name != "simulate"),
    *(("erase", "17", "--yes"), ("erase", "--list"), ("erase", "--again")),
    *(("doctor", "--json"), ("config", "--json"), ("config", "--explain")),
]
WITHOUT_DATABASE = ("config", "schema", "sql")
PARAMETERS = (
    *(
        "host",
        "port",
        "user",
        "password",
        "dbname",
        "passfile",
        "service",
        "options",
        "application_name",
        "ssl",
    ),
    *(
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslnegotiation",
        "connect_timeout",
        "channel_binding",
        "pgbouncer",
    ),
    *("target_session_attrs", "ssl_min_protocol_version", "hostaddr", "pool_timeout", "search_path"),
)
VARIABLES = (
    *("PGPORT", "PGHOST", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGPASSFILE", "PGSSLMODE", "PGSSLROOTCERT"),
    *("PGSERVICE", "PGTARGETSESSIONATTRS", "PGOPTIONS", "PGSSLNEGOTIATION", "PGSSLMINPROTOCOLVERSION"),
)
# Of these letters no word of ours holds two within four.
LETTERS = "QZJ"
_anything = st.text(LETTERS + "qzj09ß℀漢?#/@:%[]&+=, \\'\"\t*", max_size=12)
canaries = st.tuples(_anything, st.text(LETTERS, min_size=4, max_size=6), _anything).map("".join)


def _pieces(text: str) -> set[str]:
    return {text[at : at + 4] for at in range(len(text) - 3)}


def _telling(piece: str) -> bool:
    return sum(letter in LETTERS for letter in piece) > 1


@st.composite
def broken_addresses(draw: st.DrawFn) -> tuple[str, str]:
    """An address that leads nowhere, and the canary in it, anywhere but surely in the password's place."""
    canary = draw(canaries)
    secret = st.sampled_from([canary, quote(canary, safe="")])
    if draw(st.integers(0, 9)) == 0:
        return draw(
            st.sampled_from([f"host=127.0.0.1 port=9 password={canary}", canary, f"//{canary}"])
        ), canary
    scheme = draw(st.sampled_from(["postgresql", "postgresql", "postgresql", "postgres", "mysql", canary]))
    user = draw(st.sampled_from(["ada", "", canary]))
    host = draw(
        st.sampled_from(["127.0.0.1:9", "[::1]:9", "127.0.0.1:9,[::1]:9", "::1", "", "%2Fnowhere"])
        | secret.map(lambda text: f"127.0.0.1:{text}")
        | secret.map(lambda text: f"[{text}]:9")
        | secret.map(lambda text: f"%2F{text}")
    )
    given = draw(st.lists(st.tuples(st.sampled_from(PARAMETERS) | secret, secret), max_size=2))
    query = "&".join(f"{name}={value}" for name, value in given)
    database = draw(st.sampled_from(["board", "", canary]))
    text = f"{scheme}://{user}:{draw(secret)}@{host}/{database}?{query}"
    if draw(st.booleans()):
        return text, canary
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from(["", "@", "/", ":", "%", "]", "\n"])) + text[at + 1 :], canary


@pytest.fixture(scope="module")
def child() -> Iterator[Commands]:
    with commands() as running:
        yield running


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    broken=broken_addresses(),
    call=st.sampled_from(CALLS),
    by=st.sampled_from(["variable", "file", "mistaken file"]),
    others=st.lists(st.sampled_from(VARIABLES), max_size=2),
)
@example(("postgresql://ada:QZJQ?ZJQZ@127.0.0.1:9/x", "QZJQ?ZJQZ"), ("migrate",), "variable", [])
@example(("postgresql://ada:QZJQ#ZJQZ@127.0.0.1:9/x", "QZJQ#ZJQZ"), ("serve",), "variable", [])
@example(("postgresql://ada:QZJQ/ZJQZ@127.0.0.1:9/x", "QZJQ/ZJQZ"), ("export",), "file", [])
@example(("postgresql://ada:1234/QZJQZJQ@127.0.0.1:9/x", "1234/QZJQZJQ"), ("verify",), "file", [])
@example(("postgresql://ada:[QZJQZJQ]@127.0.0.1:9/x", "[QZJQZJQ]"), ("config",), "variable", [])
@example(("postgresql://ada:QZ℀JQZJQ@127.0.0.1:9/x", "QZ℀JQZJQ"), ("doctor",), "variable", [])
@example(("postgresql://ada:QZJQZJQ@127.0.0.1:9/x", "QZJQZJQ"), ("config",), "mistaken file", [])
@example(("postgresql://ada@127.0.0.1:9/x", "QZJQZJQ"), ("doctor",), "variable", ["PGSSLMODE"])
def test_nothing_of_an_address_is_in_what_a_command_says(
    child: Commands,
    tmp_path: Path,
    broken: tuple[str, str],
    call: tuple[str, ...],
    by: str,
    others: list[str],
) -> None:
    address, canary = broken
    env = dict.fromkeys(others, canary)
    if by == "variable":
        env["RECOUNT_DATABASE_URL"] = address
    elif by == "file":
        (tmp_path / "address").write_text(address)
        env["RECOUNT_DATABASE_URL_FILE"] = str(tmp_path / "address")
    else:
        env["RECOUNT_DATABASE_URL_FILE"] = address

    ended = child.run(*call, env=_environment(tmp_path, env))

    assert "Traceback" not in ended.said
    assert [piece for piece in _pieces(canary) if _telling(piece) and piece in ended.said] == []
    assert ended.code in ((0, 1, 2, 3) if call[0] in WITHOUT_DATABASE else (1, 2, 3)), ended.said


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(canary=canaries, call=st.sampled_from(CALLS), place=st.sampled_from(["user", "dbname", "options"]))
def test_what_postgres_itself_says_of_it_is_not_repeated(
    child: Commands, server_url: str, tmp_path: Path, canary: str, call: tuple[str, ...], place: str
) -> None:
    there: dict[str, Any] = {**Dsn.read(server_url, os.environ).said, place: canary.replace("\0", "")}
    address = "postgresql://?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in there.items())

    ended = child.run(*call, env=_environment(tmp_path, {"RECOUNT_DATABASE_URL": address}))

    assert "Traceback" not in ended.said
    assert [piece for piece in _pieces(canary) if _telling(piece) and piece in ended.said] == []


def _environment(folder: Path, given: dict[str, str]) -> dict[str, str]:
    fixed = {
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
        "RECOUNT_PORT": "0",
        "RECOUNT_DATA_DIR": str(folder / "data"),
    }
    return {**fixed, **given}


def _all_of(terminal: int) -> str:
    """What was written to a terminal that nobody writes to any more: in pieces, and ended by an error."""
    shown = b""
    with open(terminal, "rb", buffering=0) as pieces, suppress(OSError):
        while piece := pieces.read(65_536):
            shown += piece
    return shown.decode()


def test_a_shell_gets_the_password_and_a_terminal_does_not(tmp_path: Path) -> None:
    address = (
        "postgresql://ada:QZJ%20Q'z@a.example.com:1,[::1]/board?sslmode=require&target_session_attrs=primary"
    )
    env = environment(
        {**_environment(tmp_path, {"RECOUNT_DATABASE_URL": address}), "PGHOSTADDR": "192.0.2.1"}
    )
    command = [str(RECOUNT), "config", "--connection"]
    asked = 'eval "$0"; env | grep ^PG | sort'

    lines = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    seen = subprocess.run(
        ["bash", "-c", asked, lines], env=env, capture_output=True, text=True, check=True
    ).stdout
    ours, theirs = pty.openpty()
    subprocess.run(command, env={**env, "TERM": "dumb"}, stdout=theirs, stderr=theirs, check=True)
    os.close(theirs)
    shown = _all_of(ours)

    assert seen.splitlines() == [
        "PGDATABASE=board",
        "PGHOST=a.example.com,::1",
        "PGPASSWORD=QZJ Q'z",
        "PGPORT=1,5432",
        "PGSSLMODE=require",
        "PGTARGETSESSIONATTRS=primary",
        "PGUSER=ada",
    ]
    assert "QZJ" not in shown
    assert "PGPASSWORD is left out on a terminal" in shown


async def test_postgres_s_own_programs_reach_the_embedded_one_whatever_surrounds_them(tmp_path: Path) -> None:
    astray = {
        "PGHOST": "nowhere",
        "PGPORT": "1",
        "PGHOSTADDR": "192.0.2.1",
        "PGSERVICE": "x",
        "PGSSLMODE": "require",
    }
    if not (find_binaries().folder / "pg_dump").exists():
        pytest.skip("this Postgres comes without pg_dump")

    async with running(tmp_path / "a,b c", env=astray) as service:
        sent = await service.run("send", PAYLOADS / "item.create.json")
        asked = f'eval "$({RECOUNT} config --connection)"; pg_dump --data-only --table=log.events_from_1'
        process = await asyncio.create_subprocess_exec(
            *("bash", "-e", "-c", asked),
            env=environment({"RECOUNT_DATA_DIR": str(service.data_dir), **astray}),
            stdout=subprocess.PIPE,
        )
        dumped, _ = await asyncio.wait_for(process.communicate(), 60)

    assert sent.returncode == process.returncode == 0, sent.stderr
    assert b"item.create" in dumped


@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_on_an_ipv6_address_every_command_finds_the_service(tmp_path: Path, host: str) -> None:
    async with running(tmp_path / "data", env={"RECOUNT_HOST": host}) as service:
        assert service.address.startswith("http://[::1]:")
        env = {
            "RECOUNT_HOST": host,
            "RECOUNT_DATA_DIR": str(service.data_dir),
            "RECOUNT_PORT": service.address.rpartition(":")[2],
        }
        sent = await recount("send", PAYLOADS / "item.create.json", env=env)
        told = await recount("tail", "--after", "0", "--count", "1", env=env)
        examined = await recount("doctor", env=env)

        assert (sent.returncode, told.returncode) == (0, 0), sent.stderr + told.stderr
        assert "accepts our key" in examined.stdout
        assert (await service.ask("{ ingest { lastEventAt } }"))["ingest"]["lastEventAt"]


@pytest.mark.parametrize("command", ["send", "simulate", "doctor"])
@pytest.mark.parametrize(
    "url",
    ["webhooks?key=s3cret", "http://[?key=s3cret", "http://::1:80/?key=s3cret", "http://a:0/?key=s3cret"],
)
def test_an_address_to_post_to_that_is_none_is_refused_without_its_key(
    child: Commands, tmp_path: Path, command: str, url: str
) -> None:
    given = {"send": ("/dev/null",), "simulate": ("--events", "3")}.get(command, ())

    ended = child.run(command, *given, "--url", url, env=_environment(tmp_path, {}))

    assert (ended.code, "must be an address such as" in ended.said) == (2, True), ended.said
    assert "s3cret" not in ended.said
