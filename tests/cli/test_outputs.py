"""Where answers go: files, pipes, devices; and what simulated traffic says when nobody takes it."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.given import folders
from tests.given.running import Running, recount, running

PAYLOADS = sorted(folders.PAYLOADS.glob("*.json"))


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with running(tmp_path_factory.mktemp("outputs") / "data") as service:
        await service.run("send", *PAYLOADS)
        yield service


@pytest.fixture(scope="module")
async def lines(service: Running) -> str:
    """What an export of the log says."""
    return (await service.run("export")).stdout


async def test_an_export_to_a_fifo_is_read_from_it_and_the_fifo_stays(
    service: Running, lines: str, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    ended, read = await asyncio.gather(
        service.run("export", "--output", fifo), asyncio.to_thread(fifo.read_text)
    )

    assert (ended.returncode, read) == (0, lines)
    assert stat.S_ISFIFO(fifo.lstat().st_mode)


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
async def test_an_export_to_a_link_writes_what_it_leads_to(
    service: Running, lines: str, tmp_path: Path, there: bool
) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "log.jsonl", tmp_path / "link"
    if there:
        target.write_text("the one of yesterday")
        target.chmod(0o640)
    link.symlink_to(target)

    ended = await service.run("export", "--output", link)

    assert ended.returncode == 0
    assert link.is_symlink()
    assert target.read_text() == lines
    assert [path.name for path in target.parent.iterdir()] == ["log.jsonl"]
    if there:
        assert stat.S_IMODE(target.stat().st_mode) == 0o640


async def test_an_export_into_memory_that_is_a_folder_is_a_file_there(service: Running, lines: str) -> None:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm to write to")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        written = Path(folder) / "log.jsonl"

        assert (await service.run("export", "--output", written)).returncode == 0
        assert written.read_text() == lines


async def test_an_export_to_a_device_leaves_it_a_device(service: Running, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a device that may be broken")
    device = tmp_path / "null"
    os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))

    assert (await service.run("export", "--output", device)).returncode == 0
    assert stat.S_ISCHR(device.lstat().st_mode)


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
async def test_an_export_to_standard_output_by_any_name_comes_out_there(
    service: Running, lines: str, name: str
) -> None:
    ended = await service.run("export", "--output", name)

    assert (ended.returncode, ended.stdout) == (0, lines)


async def test_an_export_into_a_folder_that_is_not_there_says_so(service: Running, tmp_path: Path) -> None:
    ended = await service.run("export", "--output", tmp_path / "none" / "log.jsonl")

    assert ended.returncode == 1
    assert f"there is no folder {tmp_path / 'none'}" in ended.stderr


async def test_an_export_that_fails_leaves_the_file_of_before(service: Running, tmp_path: Path) -> None:
    before = tmp_path / "log.jsonl"
    before.write_text("the one of yesterday")

    failed = await recount(
        "export",
        "--output",
        before,
        env={"RECOUNT_DATABASE_URL": "postgresql://ann@127.0.0.1:1/none", "RECOUNT_DATA_DIR": str(tmp_path)},
    )

    assert failed.returncode == 1
    assert [(path.name, path.read_text()) for path in tmp_path.glob("*log*")] == [
        ("log.jsonl", "the one of yesterday")
    ]


async def test_simulated_traffic_that_is_refused_ends_with_1(service: Running) -> None:
    url = f"{service.address}/webhooks?key=wrong"

    ended = await recount("simulate", "--events", "40", "--url", url)

    assert (ended.returncode, ended.stdout) == (1, "40 answered 401\n")
    assert "40 of 40 deliveries were refused" in ended.stderr


async def test_simulated_traffic_to_where_nobody_listens_is_one_line() -> None:
    ended = await recount("simulate", "--events", "40", "--url", "http://127.0.0.1:1/webhooks?key=s3cret")

    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "no service answers at http://127.0.0.1:1/webhooks" in ended.stderr
    assert "s3cret" not in ended.stderr


async def test_words_between_colons_are_told_as_they_stand(tmp_path: Path) -> None:
    data, labels = str(tmp_path / "data"), str(tmp_path / ":key:.toml")
    env = {"RECOUNT_DATA_DIR": data, "RECOUNT_LABELS": labels, "RECOUNT_PORT": "0"}

    refused = await recount("serve", env=env)

    assert refused.returncode == 2
    assert ":key:.toml" in refused.stderr
