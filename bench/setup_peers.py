"""Fetches what we are measured beside, into `bench/.peers/`: a venv from pinned packages, and PostGraphile.

`python -m bench.setup_peers` does it beforehand; every bench that needs a peer does it by itself.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from bench.harness import ROOT, say

SOURCES: Final = ROOT / "bench" / "peers"
PLACE: Final = ROOT / "bench" / ".peers"
NODE_OLDEST: Final = 22  # PostGraphile 5.1 starts on Node 20 and then fails every query


class PeersNotInstalled(RuntimeError):
    """The packages of a peer could not be fetched; what it was and what the tool said is in the message."""


def peers_python() -> Path:
    """Return the Python that runs the peers, with their packages; fetches them the first time."""
    place = PLACE / "venv"
    python = place / "bin" / "python"
    wanted = _digest(SOURCES / "requirements.txt") + sys.version.split()[0]
    stamp = place / ".built-from"
    if not stamp.exists() or stamp.read_text() != wanted:
        say("fetching the peers' Python packages (a minute)")
        venv.create(place, with_pip=True, clear=True)
        _run(
            [python, "-m", "pip", "install", "-qq", "--require-hashes", "-r", SOURCES / "requirements.txt"],
            ROOT,
        )
        stamp.write_text(wanted)
    return python


def peer(name: str) -> Path:
    """Return the file of a peer, for `peers_python()` to run."""
    return SOURCES / f"{name}.py"


def postgraphile() -> tuple[Path, Path]:
    """Return a Node of 22 or later and the folder with PostGraphile's `node_modules`; fetches both once."""
    place = PLACE / "node"
    wanted = _digest(SOURCES / "package-lock.json")
    stamp = place / ".built-from"
    if not stamp.exists() or stamp.read_text() != wanted:
        if shutil.which("npm") is None:
            raise PeersNotInstalled("PostGraphile needs npm, which is not installed here")
        say("fetching PostGraphile and its Node (a minute)")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, place)
        _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], place)
        stamp.write_text(wanted)
    return _node(place), place


def _node(place: Path) -> Path:
    """Return the Node that came along; if npm has none for this machine, the installed one if new enough."""
    brought = sorted(place.glob("node_modules/node-*/bin/node"))
    if brought:
        return brought[0]
    installed = shutil.which("node")
    if installed:
        version = subprocess.run([installed, "--version"], capture_output=True, text=True, check=True).stdout
        if int(version.lstrip("v").partition(".")[0]) >= NODE_OLDEST:
            return Path(installed)
    raise PeersNotInstalled(
        f"PostGraphile needs Node {NODE_OLDEST}, which npm does not bring for this machine"
    )


def _run(command: list[str | Path], folder: Path) -> None:
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | quiet,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        tail = "\n".join(ended.stdout.splitlines()[-8:])
        raise PeersNotInstalled(f"{' '.join(map(str, command))} ended with {ended.returncode}:\n{tail}")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    print(peers_python())
    print(*postgraphile())
