"""Runs many commands one after another in one child process: Python's start is most of what one takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from tests.given.folders import ROOT

_CHILD = """
import json, os, sys, tempfile, traceback, warnings
from service.cli import main

lines, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for line in lines:
    given = json.loads(line)
    os.environ.clear()
    os.environ.update({os.fsdecode(bytes.fromhex(n)): os.fsdecode(bytes.fromhex(v)) for n, v in given["env"]})
    sys.argv = ["recount", *given["arguments"]]
    with tempfile.TemporaryFile() as said, warnings.catch_warnings():
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        warnings.simplefilter("default")
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
            code = 70
        sys.stderr.flush()
        said.seek(0)
        text = said.read().decode("utf-8", "backslashreplace")
    print(json.dumps([code, text]), file=answers, flush=True)
"""


class Ended(NamedTuple):
    """A command that ran: its exit code, and what it wrote to standard output and error."""

    code: int
    said: str


class Commands:
    """`run` runs a command in the child, with an environment of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *arguments: str, env: Mapping[str, str]) -> Ended:
        """Return how a command ended. One that stops its process is an error of the test."""
        assert self._process.stdin
        assert self._process.stdout
        names = [(os.fsencode(name).hex(), os.fsencode(value).hex()) for name, value in env.items()]
        print(json.dumps({"arguments": arguments, "env": names}), file=self._process.stdin, flush=True)
        return Ended(*json.loads(self._process.stdout.readline()))


@contextmanager
def commands() -> Iterator[Commands]:
    """Give a child that runs commands."""
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Commands(process)
        finally:
            assert process.stdin
            process.stdin.close()
