"""HAProxy before cells, by deploy/cells: the real program, the shipped files, the addresses of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.given.folders import ROOT
from tests.given.fronts import certify, changed, need, program
from tests.given.ports import free_port

SHIPPED = {"a": ("127.0.0.1:8081", "127.0.0.1:8082"), "b": ("127.0.0.1:8091", "127.0.0.1:8092")}


class Router:
    """A router that runs: its address, and the folder of its maps and of what it says."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder = address, folder

    def of(self, product: int, path: str) -> str:
        """Return an address of a product."""
        return f"{self.address}/{product}{path}"


@asynccontextmanager
async def router(
    folder: Path,
    instances: Mapping[str, list[str]],
    cells: Mapping[int, str],
    names: Mapping[str, int] = {},
) -> AsyncIterator[Router]:
    """Run HAProxy before the instances of cells; those that the shipped file has too many are not there."""
    need("haproxy")
    folder.mkdir()
    certify(folder)
    both = [(folder / name).read_text() for name in ("fullchain.pem", "privkey.pem")]
    (folder / "board.example.com.pem").write_text("".join(both))
    for file, lines in (("cells.map", cells), ("names.map", names)):
        text = (ROOT / "deploy/cells" / file).read_text()
        comments = [line for line in text.splitlines() if line.startswith("#")]
        mapped = [f"{name} {value}" for name, value in lines.items()]
        (folder / file).write_text("\n".join([*comments, *mapped]) + "\n")
    port = free_port()
    changes = {
        "bind :443": f"bind 127.0.0.1:{port}",
        "/etc/haproxy": str(folder),
        "/run/haproxy/": "unix@",  # in the folder that it runs in: the path of a socket has 107 bytes at most
        "/dev/log": "stdout format raw",
    }
    for cell, places in SHIPPED.items():
        here = [each.removeprefix("http://") for each in instances.get(cell, [])]
        nobody = [f"127.0.0.1:{free_port()}" for _ in places[len(here) :]]
        changes |= dict(zip(places, [*here, *nobody], strict=True))
    (folder / "haproxy.cfg").write_text(changed(ROOT / "deploy/cells/haproxy.cfg", changes))
    async with program(["haproxy", "-W", "-f", folder / "haproxy.cfg"], port, folder):
        yield Router(f"https://127.0.0.1:{port}", folder)
