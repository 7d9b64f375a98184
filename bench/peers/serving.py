"""What the peers' servers share: their two arguments and how an aiohttp one runs. On uvloop, like ours."""

from __future__ import annotations

import argparse
import gc
from dataclasses import dataclass

import uvloop
from aiohttp import web


@dataclass(frozen=True)
class Arguments:
    """Where to listen, and the database if the peer uses one."""

    port: int
    dsn: str


def arguments() -> Arguments:
    """Read `--port` and `--dsn` from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dsn", default="")
    given = parser.parse_args()
    return Arguments(given.port, given.dsn)


def database() -> str:
    """Read `--dsn` from the command line: for peers that are no servers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    return str(parser.parse_args().dsn)


@dataclass(frozen=True)
class Stretch:
    """A database, and which part of its log is to be built from: behind one position, up to another."""

    dsn: str
    after: int
    last: int


def stretch() -> Stretch:
    """Read `--dsn`, `--after` and `--last` from the command line: for peers that go on where they stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--after", type=int, required=True)
    parser.add_argument("--last", type=int, required=True)
    given = parser.parse_args()
    return Stretch(given.dsn, given.after, given.last)


def serve(app: web.Application, port: int) -> None:
    """Run an aiohttp application until it is told to end, without an access log."""
    gc.freeze()
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, loop=uvloop.new_event_loop())
