"""Builds what Recount is installed from: `make dist` puts a source archive and a wheel into dist/.

Both are made of the last commit, whatever else lies in the checkout, and of the documentation where `make
docs` has built it. The wheel is built from the source archive, so that this holds all that it takes. Files
bear the time of the commit: two builds of one commit are equal to the byte, in whichever checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENTATION: Final = Path("service", "web", "docs")


def main() -> None:
    """Build both and print their digests, or say in a sentence what is in the way."""
    try:
        commit, seconds = _git("log", "-1", "--format=%h %ct").decode().split()
    except (OSError, subprocess.CalledProcessError):
        sys.exit("make dist: builds of a commit, and this is no checkout of git's")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        source.mkdir()
        subprocess.run(["tar", "-x", "-C", source], input=_git("archive", "HEAD"), check=True)
        documented = (ROOT / DOCUMENTATION).is_dir()
        if documented:
            shutil.copytree(ROOT / DOCUMENTATION, source / DOCUMENTATION)
        archive = _build("sdist", source, seconds)
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        wheel = _build("wheel", Path(folder, archive.name.removesuffix(".tar.gz")), seconds)
        (ROOT / "dist").mkdir(exist_ok=True)
        for built in (archive, wheel):
            shutil.copy(built, ROOT / "dist")
            print(f"{hashlib.sha256(built.read_bytes()).hexdigest()}  dist/{built.name}")
    print(f"make dist: commit {commit}, {'with' if documented else 'without'} the documentation")
    if _git("status", "--porcelain"):
        print("make dist: the checkout differs from that commit; what is not committed is not in them")


def _build(target: str, source: Path, seconds: str) -> Path:
    """Build one of the two in a folder of its own, with the pinned tools, and return where it is."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target]
    env = {**os.environ, "SOURCE_DATE_EPOCH": seconds}
    made = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        sys.exit(f"make dist: {made.stdout}{made.stderr}")
    (built,) = (source / "dist").iterdir()
    return built


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


if __name__ == "__main__":
    main()
