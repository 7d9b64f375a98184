"""The address of a Postgres: what is taken, what is refused with which words, and what the driver is told."""

from __future__ import annotations

import ssl
import traceback
from pathlib import Path

import asyncpg
import pytest

from service.dsn import Dsn
from service.errors import DatabaseUnreachable, InvalidSetting
from service.log.database import connect

SECRET = "hunter22"


def _read(text: str, **environment: str) -> Dsn:
    return Dsn.read(text, environment)


# Taken


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "postgresql://ada:pass-word@db.example.com:6543/board",
            {"host": ["db.example.com"], "port": [6543], "user": "ada", "password": "pass-word"},
        ),
        ("postgres://ada:p%40%2F%3F%23%25%20w@db.example.com/board", {"password": "p@/?#% w"}),
        ("postgresql://ada:p:w+=~!$&'()*,;ß@db.example.com/board", {"password": "p:w+=~!$&'()*,;ß"}),
        ("postgresql://ada:@db.example.com/board", {"password": ""}),
        ("postgresql://ada@db.example.com/board", {"password": None}),
        ("postgresql://ada@db.example.com", {"database": "ada"}),
        ("postgresql://ada@[::1]:6543/board", {"host": ["::1"], "port": [6543]}),
        ("postgresql://ada@/board?host=::1", {"host": ["::1"], "port": [5432]}),
        ("postgresql://ada@%2Frun%2Fa%20b:6543/board", {"host": ["/run/a b"], "port": [6543], "ssl": False}),
        ("postgresql://ada@/board?host=/run/a%20b&port=6543", {"host": ["/run/a b"], "port": [6543]}),
        ("postgresql://ada@/board", {"host": None, "port": 5432}),
        (
            "postgresql://ada@a.example.com:1,[::1]:2,b.example.com/board?target_session_attrs=read-write",
            {"host": ["a.example.com", "::1", "b.example.com"], "port": [1, 2, 5432], "ssl": "prefer"},
        ),
        ("postgresql://ada@/board?host=a.example.com,b.example.com&port=6543", {"port": [6543, 6543]}),
        ("postgresql://ada@/?database=board&password=a%26b", {"database": "board", "password": "a&b"}),
        # As Neon, Supabase and RDS print them; the last as Heroku's clients add to it.
        (
            "postgresql://ada:npg_a1@ep-a-1.eu-central-1.aws.example.com/neondb?sslmode=require&channel_binding=prefer",
            {"ssl": "require", "database": "neondb"},
        ),
        (
            "postgresql://ada:a@ep.example.com/x?options=endpoint%3De&sslnegotiation=direct&sslmode=require",
            {"direct_tls": True},
        ),
        ("postgresql://p.abc:a@aws-0-eu.pooler.example.com:5432/postgres?pgbouncer=false", {"user": "p.abc"}),
        (
            "postgresql://ada:a@b.c.eu-west-1.rds.example.com:5432/x?connect_timeout=15&sslmode=verify-full"
            "&sslrootcert=/etc/global-bundle.pem&application_name=board",
            {"timeout": 15.0, "ssl": "verify-full", "dsn": "postgresql://?sslrootcert=%2Fetc%2Fglobal-bundle.pem"},
        ),
        ("postgresql://ada:a@ec2.example.com:5432/x?ssl=true", {"ssl": "require"}),
    ],
)  # fmt: skip
def test_an_address_is_taken_as_psql_takes_it(address: str, said: dict[str, object]) -> None:
    arguments = _read(address).arguments()

    assert {name: arguments[name] for name in said} == said


def test_the_system_s_certificates_are_taken_where_they_are_named() -> None:
    arguments = _read("postgresql://ada@db.example.com/x?sslmode=verify-full&sslrootcert=system").arguments()

    assert isinstance(arguments["ssl"], ssl.SSLContext)
    assert arguments["ssl"].verify_mode == ssl.CERT_REQUIRED
    assert arguments["ssl"].check_hostname


def test_settings_of_the_session_come_along() -> None:
    address = _read("postgresql://ada@db.example.com/x?options=-c%20work_mem=64MB&application_name=board")

    assert address.session("recount hub") == {
        "application_name": "board hub",
        "options": "-c work_mem=64MB",
    }
    assert _read("postgresql://ada@db.example.com/x").session("recount hub") == {
        "application_name": "recount hub"
    }


def test_what_the_address_leaves_out_the_environment_says() -> None:
    environment = {
        "PGUSER": "ada",
        "PGPASSWORD": "a b#c",
        "PGPORT": "6543",
        "PGSSLMODE": "require",
        "PGHOST": "other",
    }

    arguments = _read("postgresql://db.example.com/board", **environment).arguments()

    assert [arguments[name] for name in ("host", "port", "user", "password", "ssl")] == [
        ["db.example.com"], [6543], "ada", "a b#c", "require",
    ]  # fmt: skip
    said = _read("postgresql://eva:x@db.example.com:1/board?sslmode=disable", **environment).arguments()
    assert [said[name] for name in ("port", "user", "password", "ssl")] == [[1], "eva", "x", False]


async def test_the_driver_asks_the_environment_for_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = _read("postgresql://ada:x@127.0.0.1:9/board?sslmode=disable").arguments()
    for name in ("PGPORT", "PGSSLMODE", "PGSSLNEGOTIATION", "PGTARGETSESSIONATTRS", "PGGSSLIB", "PGHOST"):
        monkeypatch.setenv(name, "nonsense")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path))

    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(**arguments)


# Refused


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("mysql://ada:SECRET@db.example.com/x", "must start with postgresql://"),
        ("host=db.example.com password=SECRET", "must start with postgresql://"),
        ("SECRET", "must start with postgresql://"),
        ("\ufeffpostgresql://ada:SECRET@db.example.com/x", "must start with postgresql://"),
        ("postgresql://ada:SEC RET@db.example.com/x", "a space, a line end"),
        ("postgresql://ada:SECRET@db.example.com/x\n", "a space, a line end"),
        ("postgresql://ada:SECRET\udcff@db.example.com/x", "a character that does not show"),
        ("postgresql://ada:SEC#RET@db.example.com/x", "a # stands in it"),
        ("postgresql://ada:SEC?RET@db.example.com/x", "a / or ? before an @"),
        ("postgresql://ada:SEC/RET@db.example.com/x", "a / or ? before an @"),
        ("postgresql://ada:1234/SECRET@db.example.com/x", "a / or ? before an @"),
        ("postgresql://ada:SEC@RET@db.example.com/x", "one @ too many"),
        ("postgresql://ada:[SECRET]@db.example.com/x", "leave out the brackets of a template"),
        ("postgresql://ada:100%SECRET@db.example.com/x", "the password holds a % that begins no %XX"),
        ("postgresql://ada:%ffSECRET@db.example.com/x", "the password has a %XX that is no UTF-8 text"),
        ("postgresql://ada:%00SECRET@db.example.com/x", "the password is no UTF-8 text"),
        ("postgresql://%zz:SECRET@db.example.com/x", "the user holds a % that begins"),
        ("postgresql://ada:SECRET@db%.example.com/x", "the host holds a % that begins"),
        ("postgresql://ada:SECRET", "a port is no number"),
        ("postgresql://ada:SECRET@db.example.com:0/x", "a port is no number from 1 to 65535"),
        ("postgresql://ada:SECRET@db.example.com:65536/x", "a port is no number from 1 to 65535"),
        ("postgresql://ada:SECRET@db.example.com:²/x", "a port is no number from 1 to 65535"),
        ("postgresql://ada:SECRET@::1/x", "only an IPv6 address stands in brackets"),
        ("postgresql://ada:SECRET@[::1/x", "only an IPv6 address stands in brackets"),
        ("postgresql://ada:SECRET@[SECRET]/x", "only an IPv6 address stands in brackets"),
        ("postgresql://ada:SECRET@db!.example.com/x", "a host is no name"),
        ("postgresql://ada:SECRET@a,,b/x", "a host is no name"),
        (f"postgresql://ada:SECRET@{'a' * 64}.example.com/x", "a host is no name"),
        (f"postgresql://ada:SECRET@/x?host=/{'a' * 100}", "no folder of a socket"),
        ("postgresql://ada:SECRET@a,b/x?port=1,2,3", "there are 3 ports for 2 hosts"),
        ("postgresql://ada:SECRET@a/x?host=b", "it says the host twice"),
        ("postgresql://ada:SECRET@a/x?password=SECRET", "it says the password twice"),
        ("postgresql://ada:SECRET@a/x/y", "a / stands in the database's name"),
        ("postgresql://ada@a/x?password=a&SECRET", "its parameter 2 is none of those that are known"),
        ("postgresql://ada@a/x?password=a&SECRET=b", "its parameter 2 is none of those that are known"),
        ("postgresql://ada:SECRET@a/x?sslmode=SECRET", "sslmode must be one of disable, allow, prefer"),
        ("postgresql://ada:SECRET@a/x?connect_timeout=0", "connect_timeout must be a whole number"),
        ("postgresql://ada:SECRET@a/x?channel_binding=require", "channel_binding must be prefer or disable"),
        ("postgresql://ada:SECRET@a/x?pgbouncer=true", "pgbouncer says that a pooler in transaction mode"),
        ("postgresql://ada:SECRET@a/x?pool_timeout=15", "pool_timeout means nothing here; leave it out"),
        ("postgresql://ada:SECRET@a/x?search_path=b", "search_path changes nothing"),
        ("postgresql://ada:SECRET@/x?service=SECRET", "service is not read; write out"),
        ("postgresql://ada:SECRET@/x?hostaddr=127.0.0.1", "hostaddr is not read; give the address"),
        ("postgresql://ada:SECRET@a/x?ssl=no-verify", "ssl must be true"),
        ("postgresql://ada:SECRET@a/x?sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"),
        ("postgresql://ada:SECRET@a/x?sslnegotiation=direct", "sslnegotiation=direct needs sslmode=require"),
        ("postgresql://ada:SECRET@a/x?target_session_attrs=SECRET", "must be one of any, primary"),
        ("postgresql://ada:SECRET@a/x?ssl_min_protocol_version=SSLv3", "must be one of TLSv1, TLSv1.1"),
        ("postgresql://ada:SECRET@a/x?gssencmode=require", "gssencmode must be one of disable, prefer"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_meant_is_refused_without_any_of_it(address: str, reason: str) -> None:
    address = address.replace("SECRET", SECRET).replace("SEC", SECRET[:4]).replace("RET", SECRET[4:])

    with pytest.raises(InvalidSetting, match="RECOUNT_DATABASE_URL is wrong: ") as refused:
        _read(address)

    assert reason in str(refused.value)
    told = "".join(traceback.format_exception(refused.value))
    assert [
        part for part in (SECRET, SECRET[:4], SECRET[4:], "ada", "example") if part in str(refused.value)
    ] == []
    assert SECRET not in told


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("PGPORT", "nonsense", "a port is no number from 1 to 65535"),
        ("PGPORT", "1,2", "there are 2 ports for 1 hosts"),
        ("PGSSLMODE", "nonsense", "the parameter sslmode must be one of"),
        ("PGTARGETSESSIONATTRS", "nonsense", "the parameter target_session_attrs must be one of"),
        ("PGSSLNEGOTIATION", "direct", "sslnegotiation=direct needs"),
        ("PGPASSWORD", "nonsense\udcff", "the password is no UTF-8 text"),
    ],
)
def test_a_variable_that_completes_the_address_badly_is_named(name: str, value: str, reason: str) -> None:
    with pytest.raises(
        InvalidSetting, match=f"{name} completes RECOUNT_DATABASE_URL and is wrong"
    ) as refused:
        _read("postgresql://ada@db.example.com/x", **{name: value})

    assert reason in str(refused.value)
    assert "nonsense" not in str(refused.value)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("sslmode=verify-full&sslrootcert=/nowhere/SECRET", "sslrootcert"),
        ("sslmode=require&sslcert=/nowhere/SECRET", "sslcert"),
        ("passfile=/nowhere/SECRET", "passfile"),
    ],
)
async def test_a_file_that_the_address_names_and_is_not_there_is_told_by_its_parameter(
    query: str, named: str
) -> None:
    with pytest.raises(DatabaseUnreachable, match=f"the file that its {named} names cannot be read") as told:
        await connect(f"postgresql://ada@127.0.0.1:9/x?{query.replace('SECRET', SECRET)}")

    assert SECRET not in str(told.value)


async def test_a_file_of_passwords_that_is_none_is_told(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text(f"127.0.0.1:{SECRET}\n")
    file.chmod(0o600)

    with pytest.raises(DatabaseUnreachable) as told:
        await connect(f"postgresql://ada@127.0.0.1:9/x?passfile={file}")

    assert SECRET not in str(told.value)
