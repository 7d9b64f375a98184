"""What a command loads before it does anything: a help or a completion that loads all of it takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

from tests.given.folders import ROOT

_HEAVY: Final = ("aiohttp", "asyncpg", "graphql", "projections", "pydantic", "schema", "strawberry", "uvloop")
_ASKING: Final = """
import contextlib, io, json, os, sys
from service.cli.ending import ended
from tests.given.command_tree import all_commands

heavy = set(json.loads(sys.argv[1]))

def run(*words):
    sys.argv[1:] = words
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())) as said:
        code = ended()
    return code, said.buffer.getvalue().decode()

def loaded():
    return sorted({name.partition(".")[0] for name in sys.modules} & heavy)

helps = {name: run(*name.split(), "--help") for name in ("", *all_commands())}
printed = run("sql", "grants")
os.environ |= {"_RECOUNT_COMPLETE": "bash_complete", "COMP_WORDS": "recount backfill --wi", "COMP_CWORD": "2"}
completed, loaded_by_words = run(), loaded()
import service.process, uvloop
print(json.dumps([helps, printed, completed, loaded_by_words, loaded()]))
"""


def test_no_help_no_completion_and_no_text_of_ours_loads_what_does_the_work() -> None:
    asked = [sys.executable, "-c", _ASKING, json.dumps(_HEAVY)]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout
    helps, printed, completed, loaded_by_words, loaded_by_work = json.loads(told)

    assert loaded_by_words == []
    assert [name for name, (code, said) in helps.items() if code or "Usage: recount" not in said] == []
    assert "create role" in printed[1]
    assert "--without" in completed[1]
    # Else a name here is wrong, and holds nothing.
    assert loaded_by_work == [*_HEAVY]
