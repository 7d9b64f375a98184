"""Reads the address of a Postgres: checks each part of it in one place, and tells none of it.

Of an address everything is secret: where a password holds a `/`, half of it stands where the port should. So
no refusal repeats anything of what was given; it names the part that is wrong, and what to do. What the
address leaves out comes from the variables that psql reads (PGPASSWORD, PGSSLROOTCERT and so on), as far as
the driver knows them.
"""

from __future__ import annotations

import getpass
import ipaddress
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes, urlencode

from service.errors import InvalidSetting

SETTING: Final = "RECOUNT_DATABASE_URL"
DEFAULT_PORT: Final = 5432
SOCKET_PATH_BYTES_MAX: Final = 103
"""`sun_path` holds 104 on macOS and 108 on Linux, a NUL included."""

_FORM: Final = "postgresql://user:password@host:port/database"
_ENCODED: Final = "inside a part, / is written %2F, ? %3F, # %23, @ %40, % %25, a space %20"
_PLACE: Final = re.compile(r"([^/?]*)(?:/([^?]*))?(?:\?(.*))?")
_HOST: Final = re.compile(r"\[([^\]]*:[^\]]*)\](?::(.*))?|([^:\[\]]*)(?::([^:]*))?")

# What an address may say, and the variable that says it where the address does not.
_VARIABLES: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
# Psql reads these too, where the driver does not.
_OF_PSQL_ALONE: Final = {
    "options": "PGOPTIONS",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "channel_binding": "PGCHANNELBINDING",
}
# These would lead psql elsewhere.
_MISLEADING: Final = ("PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE")
_FILES: Final = ("sslcert", "sslkey", "sslrootcert", "sslcrl", "passfile")
_TLS: Final = (*_FILES[:4], "sslpassword", "ssl_min_protocol_version", "ssl_max_protocol_version")
_WITHOUT_TLS: Final = ("disable", "allow", "prefer")


def _one_of(*values: str) -> Callable[[str], str | None]:
    return lambda value: None if value in values else f"must be one of {', '.join(values)}"


def _seconds(value: str) -> str | None:
    right = re.fullmatch(r"[0-9]{1,3}", value) and 0 < int(value) <= 600
    return None if right else "must be a whole number of seconds from 1 to 600"


def _channel_binding(value: str) -> str | None:
    if value in ("disable", "prefer"):
        return None
    return (
        "must be prefer or disable: the driver has no channel binding, so it cannot be required; leave it "
        "out, and let sslmode=verify-full make sure of the server"
    )


def _pooler(value: str) -> str | None:
    if value == "false":
        return None
    return (
        "says that a pooler in transaction mode stands before Postgres, which LISTEN and our settings of a "
        "session do not pass; give Postgres's own address, or that of a pooler in session mode, without it"
    )


# What a value must be, where the driver would choke on another: each gives what is wrong, or None.
_CHECKS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "sslmode": _one_of(*_WITHOUT_TLS, "require", "verify-ca", "verify-full"),
    "sslnegotiation": _one_of("postgres", "direct"),
    "ssl_min_protocol_version": _one_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_max_protocol_version": _one_of("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "target_session_attrs": _one_of("any", "primary", "standby", "prefer-standby", "read-write", "read-only"),
    "connect_timeout": _seconds,
    "channel_binding": _channel_binding,
    "gssencmode": _one_of("disable", "prefer"),
    "client_encoding": _one_of("utf8", "UTF8", "utf-8", "UTF-8"),
    "pgbouncer": _pooler,
}
_TAKEN: Final = frozenset({*_VARIABLES, *_OF_PSQL_ALONE, *_CHECKS, "sslpassword"})

# Parameters of libpq and of other drivers, as they come along in addresses: refused by name, not passed over.
_USELESS: Final = """
    command_timeout connection_limit fallback_application_name gssdelegation gsslib keepalives
    keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts max_connections
    pool_size pool_timeout prepareThreshold prepared_statement_cache_size replication require_auth requirepeer
    socket_timeout sslaccept sslcertmode sslcompression sslcrldir sslfactory sslidentity sslsni
    statement_cache_size supa tcp_user_timeout uselibpqcompat workaround
"""
_REFUSED: Final = {
    **dict.fromkeys(_USELESS.split(), "means nothing here; leave it out"),
    **dict.fromkeys(
        ("search_path", "statement_timeout", "lock_timeout", "schema", "currentSchema"),
        "changes nothing, since each session is set to what we need; leave it out",
    ),
    **dict.fromkeys(("service", "servicefile"), "is not read; write out what the service's entry says"),
    "hostaddr": "is not read; give the address as the host",
    "ssl": "must be true; or say what you mean by sslmode",
}


@dataclass(frozen=True, repr=False)
class Dsn:
    """An address that was read. It has no text of its own, so that none of it is told by accident."""

    said: Mapping[str, str]
    """By libpq's names, each of its values checked."""
    hosts: tuple[str, ...]
    """Names, addresses and folders of sockets; none: the usual sockets, then localhost."""
    ports: tuple[int, ...]
    """One for each host; one, where there is no host."""

    @classmethod
    def read(cls, text: str, environment: Mapping[str, str]) -> Dsn:
        """Return what an address says, completed from the environment. Raises InvalidSetting."""
        said = _said(text)
        sources = dict.fromkeys(said, SETTING)
        for name, variable in _VARIABLES.items():
            if name not in said and _asked(name, said) and (value := environment.get(variable)):
                said[name], sources[name] = value, variable
        for name, value in said.items():
            if not _is_text(value):
                raise _wrong(f"the {name} is no UTF-8 text", sources[name])
            if name in _CHECKS and (reason := _CHECKS[name](value)) is not None:
                raise _wrong(f"the parameter {name} {reason}", sources[name])
        hosts = tuple(said["host"].split(",")) if said.get("host") else ()
        if not all(_is_socket(host) if host.startswith("/") else is_host(host) for host in hosts):
            raise _wrong(
                "a host is no name, no address and no folder of a socket, which has to be short and to begin "
                "with a /; an IPv6 address stands in brackets, but not in a parameter",
                sources["host"],
            )
        ports = _ports(said.get("port", ""), len(hosts), sources.get("port", SETTING))
        _check_tls(said, sources)
        return cls(said, hosts, ports)

    def apart(self) -> list[Dsn]:
        """Return an address for each host of this one."""
        if len(self.hosts) < 2:
            return [self]
        return [
            replace(self, hosts=(host,), ports=(port,))
            for host, port in zip(self.hosts, self.ports, strict=True)
        ]

    def arguments(self) -> dict[str, Any]:
        """Return how asyncpg is to connect. All that it would ask the environment for is said."""
        user = self._user()
        said, timeout = self.said.get, self.said.get("connect_timeout")
        files, mode = self._tls()
        return {
            # What TLS needs has no other way in; of a dsn that says nothing else, nothing else is read.
            "dsn": f"postgresql://?{urlencode(files, quote_via=quote)}",
            "host": list(self.hosts) or None,
            "port": list(self.ports) if self.hosts else self.ports[0],
            "user": user,
            "password": said("password"),
            "passfile": said("passfile"),
            "database": said("dbname", user),
            "ssl": mode,
            "direct_tls": said("sslnegotiation") == "direct",
            # Of several hosts the primary is meant, wherever a failover has put it.
            "target_session_attrs": said(
                "target_session_attrs", "read-write" if len(self.hosts) > 1 else "any"
            ),
            "krbsrvname": "postgres",
            "gsslib": "gssapi",
            **({} if timeout is None else {"timeout": float(timeout)}),
        }

    def session(self, application_name: str) -> dict[str, str]:
        """Return the settings of Postgres's that the address asks for; `recount …` goes by its name there."""
        named = application_name.replace("recount", self.said.get("application_name", "recount"), 1)
        return {"application_name": named, **{k: v for k, v in self.said.items() if k == "options"}}

    def variables(self) -> dict[str, str | None]:
        """Return what psql, pg_dump and the like are to find in their environment; None: nothing."""
        values: dict[str, str | None] = dict.fromkeys(_MISLEADING)
        for name, variable in {**_VARIABLES, **_OF_PSQL_ALONE}.items():
            values[variable] = self.said.get(name)
        return {**values, "PGPORT": ",".join(map(str, self.ports))}

    def unreadable(self) -> str | None:
        """Return which file that the address names cannot be used, which the driver does not say plainly.

        One of passwords that others can read is passed over by it.
        """
        for name in _FILES:
            path = self.said.get(name)
            if not path or (name, path) == ("sslrootcert", "system"):
                continue
            if not os.access(path, os.R_OK) or (name == "passfile" and Path(path).stat().st_mode & 0o077):
                return name
        return None

    def _user(self) -> str:
        """Return the user, who is the system's where nothing else is said. Raises InvalidSetting."""
        try:
            return self.said.get("user") or getpass.getuser()
        except (KeyError, OSError):
            raise _wrong("it names no user, and the user of this process has no name") from None

    def _tls(self) -> tuple[dict[str, str], str | bool | ssl.SSLContext]:
        """Return the parameters for TLS, and how it is to be used."""
        mode = self.said.get("sslmode", "prefer")
        if mode == "disable" or (self.hosts and all(host.startswith("/") for host in self.hosts)):
            return {}, False
        if self.said.get("sslrootcert") == "system":
            return {}, ssl.create_default_context()
        return {name: self.said[name] for name in _TLS if name in self.said}, mode


# The text


def _said(text: str) -> dict[str, str]:
    """Return what the text says, by libpq's names."""
    scheme, there, rest = text.partition("://")
    if not there or scheme.lower() not in ("postgresql", "postgres"):
        raise _wrong(f"must start with postgresql://, as in {_FORM}")
    if not text.isprintable() or " " in text:
        raise _wrong(f"a space, a line end or a character that does not show stands in it; {_ENCODED}")
    if "#" in rest:
        raise _wrong(f"a # stands in it; {_ENCODED}")
    person, _, place = rest.rpartition("@")
    if re.search("[/?@]", person):
        raise _wrong(f"there is a / or ? before an @, or one @ too many; {_ENCODED}")
    if re.search(r"[\[\]]", person):
        raise _wrong(
            "a [ or ] stands in the user or password; leave out the brackets of a template, or write %5B and "
            "%5D where they belong to it"
        )
    found = _PLACE.fullmatch(place)
    assert found is not None
    authority, database, query = found.groups()
    if "/" in (database or ""):
        raise _wrong(f"a / stands in the database's name; {_ENCODED}")
    said: dict[str, str] = {}
    user, colon, password = person.partition(":")
    for name, value in (("user", user), ("password", password), ("dbname", database)):
        if value or (name == "password" and colon):
            said[name] = _decoded(name, value)
    if authority:
        hosts, ports = zip(*map(_host_and_port, authority.split(",")), strict=True)
        said["host"] = ",".join(hosts)
        if any(ports):
            said["port"] = ",".join(ports)
    for name, value in _parameters(query):
        if name in said:
            raise _wrong(f"it says the {name} twice")
        said[name] = value
    return said


def _host_and_port(text: str) -> tuple[str, str]:
    found = _HOST.fullmatch(text)
    if found is None:
        raise _wrong(
            "a host has a [ ] or : too many; only an IPv6 address stands in brackets, and an @ before the "
            "first host"
        )
    inside, port_inside, host, port = found.groups()
    return _decoded("host", host if inside is None else inside), port_inside or port or ""


def _parameters(query: str | None) -> Iterator[tuple[str, str]]:
    """Give the parameters, by libpq's names; refuse others, by name where it is a known one."""
    for number, part in enumerate(query.split("&") if query else (), start=1):
        name, equals, value = part.partition("=")
        if name == "database":
            name = "dbname"
        elif (name, value) == ("ssl", "true"):
            name, value = "sslmode", "require"  # as libpq has it
        if name in _REFUSED:
            raise _wrong(f"the parameter {name} {_REFUSED[name]}")
        if name not in _TAKEN or not equals:
            # Not named: it may be what follows an & in a password.
            raise _wrong(
                f"its parameter {number} is none of those that are known ({', '.join(sorted(_TAKEN))}); "
                "in a value & is written %26; a setting of Postgres's is written options=-c%20name=value"
            )
        if value or name == "password":
            yield name, _decoded(name, value)


def _decoded(part: str, text: str) -> str:
    """Return what a part says. A % that stands for itself would be something else to other programs."""
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise _wrong(f"the {part} holds a % that begins no %XX; {_ENCODED}")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise _wrong(f"the {part} has a %XX that is no UTF-8 text; {_ENCODED}") from None


# Its parts


def _wrong(reason: str, source: str = SETTING) -> InvalidSetting:
    if source == SETTING:
        return InvalidSetting(SETTING, f"is wrong: {reason}")
    return InvalidSetting(source, f"completes {SETTING} and is wrong: {reason}; correct it, or unset it")


def _asked(name: str, said: Mapping[str, str]) -> bool:
    """Whether a variable has a say: no file of passwords beside one, and nothing of TLS where none is."""
    if name == "passfile":
        return "password" not in said
    return not name.startswith("ssl") or name == "sslmode" or said.get("sslmode") != "disable"


def _is_text(value: str) -> bool:
    """Whether a value can be sent: what is no UTF-8 comes from the environment as lone surrogates."""
    return not re.search("[\ud800-\udfff\0]", value)


def is_host(host: str) -> bool:
    """Whether this can be an address, or a name to look up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            return re.fullmatch(r"[\w.-]+", host) is not None and bool(host.encode("idna"))
        except UnicodeError:
            return False
    return True


def _is_socket(folder: str) -> bool:
    return len(os.fsencode(Path(folder, f".s.PGSQL.{DEFAULT_PORT}"))) <= SOCKET_PATH_BYTES_MAX


def _ports(text: str, hosts: int, source: str) -> tuple[int, ...]:
    """Return a port for each host; one, where there is no host."""
    given = text.split(",")
    for port in given:
        if port and not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 2**16):
            raise _wrong(f"a port is no number from 1 to 65535; {_ENCODED}", source)
    if len(given) not in (1, max(hosts, 1)):
        raise _wrong(f"there are {len(given)} ports for {hosts} hosts", source)
    ports = tuple(int(port) if port else DEFAULT_PORT for port in given)
    return ports * hosts if len(ports) < hosts else ports


def _check_tls(said: Mapping[str, str], sources: Mapping[str, str]) -> None:
    """Refuse what TLS cannot be like. Raises InvalidSetting."""
    mode = said.get("sslmode", "prefer")
    if said.get("sslrootcert") == "system" and mode != "verify-full":
        raise _wrong("sslrootcert=system needs sslmode=verify-full", sources["sslrootcert"])
    if said.get("sslnegotiation") == "direct" and mode in _WITHOUT_TLS:
        raise _wrong("sslnegotiation=direct needs sslmode=require or more", sources["sslnegotiation"])
