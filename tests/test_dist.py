"""What `make dist` builds: a wheel with all it reads, and the archive it is built from; always equal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.given.folders import ROOT

OURS = {"service", "projections", "schema"}
DOCUMENTATION = Path("service", "web", "docs")
MOMENT = "2026-01-02T03:04:05Z"


def committed(folder: Path, *, umask: int) -> Path:
    """Make a checkout of what could be committed here, with an author, a time and, as if built, a page."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    if not names:
        pytest.skip("what is built is a commit, and this is no checkout of git's")
    before = os.umask(umask)
    try:
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        (folder / DOCUMENTATION).mkdir()
        (folder / DOCUMENTATION / "index.html").write_text("<p>as built")
    finally:
        os.umask(before)
    told = {"GIT_AUTHOR_DATE": MOMENT, "GIT_COMMITTER_DATE": MOMENT, "GIT_CONFIG_GLOBAL": os.devnull}
    env = {**os.environ, **told}
    author = ["-c", "user.name=A. Writer", "-c", "user.email=writer@example.com"]
    for step in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "As it is"]):
        subprocess.run(["git", *step], cwd=folder, env=env, check=True, capture_output=True)
    return folder


def build(checkout: Path) -> dict[str, bytes]:
    """Run `make dist` without its installation, and return what it left, by name."""
    subprocess.run([sys.executable, checkout / ".ci" / "dist.py"], check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in (checkout / "dist").iterdir()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return committed(tmp_path_factory.mktemp("checkout"), umask=0o022)


@pytest.fixture(scope="module")
def built(checkout: Path) -> dict[str, bytes]:
    return build(checkout)


@pytest.fixture(scope="module")
def wheel(checkout: Path, built: dict[str, bytes]) -> set[str]:
    """The names of the files in the wheel."""
    (path,) = (checkout / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_two_builds_of_a_commit_are_equal_to_the_byte(built, tmp_path):
    other = committed(tmp_path, umask=0o077)
    (other / "service" / "forgotten.py").write_text("left = 'over'")
    (other / "README.md").write_text("A draft.")

    assert build(other) == built
    assert sorted(name.rpartition("-")[2] for name in built) == ["0.1.0.tar.gz", "any.whl"]


def test_the_wheel_holds_every_file_that_the_packages_read(checkout, wheel):
    wanted = {
        str(path.relative_to(checkout))
        for name in OURS
        for path in (checkout / name).rglob("*")
        if path.is_file() and "vendor" not in path.parts
    }

    assert wanted - wheel == set()
    assert {"service/web/graphiql/assets/graphiql.js", "service/web/docs/index.html"} <= wheel


def test_the_wheel_holds_nothing_else(wheel):
    tops = {name.partition("/")[0] for name in wheel}

    assert {top for top in tops if not top.endswith(".dist-info")} == OURS
    assert not any("vendor" in name for name in wheel)


def test_the_source_archive_holds_all_that_is_committed(checkout, built):
    (archive,) = (checkout / "dist").glob("*.tar.gz")
    listed = subprocess.run(["git", "ls-files"], cwd=checkout, capture_output=True, text=True, check=True)
    with tarfile.open(archive) as packed:
        held = {name.partition("/")[2] for name in packed.getnames()}

    assert set(listed.stdout.split("\n")[:-1]) - held == set()
