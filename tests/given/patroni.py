"""A cluster as deploy/patroni makes it, by the real programs, whose nodes are killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
import yaml

from service.postgres.binaries import ServiceUser, service_user
from tests.given.folders import ROOT
from tests.given.ports import free_ports
from tests.given.processes import children_of, kill_with_children
from tests.given.waiting import eventually

RECIPE: Final = ROOT / "deploy" / "patroni" / "patroni.yml"
PATIENCE_SECONDS: Final = 180
NETWORK: Final = "10.203.0"
BRIDGE: Final = "recount-wire"
_SERVERS: Final = Path("/usr/lib/postgresql")
_SMALL: Final = {"shared_buffers": "16MB", "max_wal_size": "128MB", "min_wal_size": "32MB", "fsync": "off"}
"""Of a node in a test: what is killed here are processes, never the machine below them."""


def lacking() -> str | None:
    """Return what is not installed of what a cluster needs."""
    missing = [name for name in ("patroni", "etcd", "setpriv") if shutil.which(name) is None]
    if not list(_SERVERS.glob("*/bin/postgres")):
        missing.append("postgresql")
    return f"{', '.join(missing)} not installed (Debian: patroni etcd-server postgresql)" if missing else None


class Node:
    """One machine of the cluster: a Patroni and its Postgres."""

    def __init__(self, name: str, folder: Path, place: str, within: Sequence[str]) -> None:
        self.name, self.folder, self.place, self.within = name, folder, place, within
        self.port, self.rest = free_ports(2)
        self.process: asyncio.subprocess.Process | None = None

    @property
    def postmaster(self) -> int | None:
        """The process id of its Postgres, if one runs or was killed."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        return None

    @property
    def host(self) -> str:
        """Where its Postgres is found."""
        return f"{self.place}:{self.port}"

    def processes(self) -> list[int]:
        """Its Patroni, its Postgres and what that has forked."""
        pids = [] if self.process is None or self.process.returncode is not None else [self.process.pid]
        if (postmaster := self.postmaster) is not None and _is_postgres(postmaster):
            pids += [postmaster, *children_of(postmaster)]
        return pids

    def signal(self, number: int) -> None:
        """Send a signal to all of it."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def lose(self) -> None:
        """End all of it at once, as a machine does that loses its power."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        if (postmaster := self.postmaster) is not None and _is_postgres(postmaster):
            kill_with_children(postmaster)
            await eventually(lambda: not _is_postgres(postmaster))


class Cluster:
    """Three nodes and an etcd."""

    def __init__(self, folder: Path, user: ServiceUser | None) -> None:
        self.folder, self.user = folder, user
        self.nodes: list[Node] = []
        self.password = secrets.token_hex(8)
        self.etcd = ""

    def url(
        self, database: str, role: str = "recount", *, first: Node | None = None, through: str | None = None
    ) -> str:
        """Return an address that names every node, one of them first, or what stands before them."""
        every = ",".join(node.host for node in sorted(self.nodes, key=lambda node: node is not first))
        hosts = through or every
        return f"postgresql://{role}:{self.password}@{hosts}/{database}?sslmode=disable"

    async def leader(self) -> Node:
        """Return the node whose Postgres takes writes, once there is one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for node in self.nodes:
                    if await self.leads(node):
                        return node
                await asyncio.sleep(0.05)

    async def whole(self) -> None:
        """Start what does not run; return once each replica streams, and one is waited for if it is to be."""
        for node in self.nodes:
            if node.process is None or node.process.returncode is not None:
                await self._start(node)
        await eventually(self._is_whole, PATIENCE_SECONDS)

    async def configure(self, **settings: Any) -> None:
        """Change the cluster's settings, as `patronictl edit-config` does."""
        node = await self.leader()
        async with (
            aiohttp.ClientSession() as session,
            session.patch(f"http://{node.place}:{node.rest}/config", json=settings) as answer,
        ):
            assert answer.status == 200, await answer.text()

    async def database(self) -> str:
        """Make a role and a database of a name of its own, as docs/deploy.md says; return the name."""
        name = f"recount_{secrets.token_hex(4)}"
        connection = await self.connect(await self.leader())
        if not await connection.fetchval("select count(*) from pg_roles where rolname = 'recount'"):
            await connection.execute(f"create role recount login password '{self.password}'")
        await connection.execute(f"create database {name} owner recount")
        await connection.close()
        return name

    async def connect(self, node: Node, database: str = "postgres") -> asyncpg.Connection[Any]:
        """Return a connection to one node, as its superuser."""
        return await asyncpg.connect(
            f"postgresql://postgres:{self.password}@{node.host}/{database}?sslmode=disable"
        )

    async def hold_replicas_back(self, leader: Node) -> None:
        """Let the leader send its replicas nothing more, unnoticed by all."""
        connection = await self.connect(leader)
        for row in await connection.fetch("select pid from pg_stat_replication"):
            os.kill(row["pid"], signal.SIGSTOP)
        await connection.close()

    async def synchronous(self) -> bool:
        """Whether commits on the leader wait for a replica."""
        connection = await self.connect(await self.leader())
        names = await connection.fetchval("show synchronous_standby_names")
        await connection.close()
        return bool(names)

    async def _is_whole(self) -> bool:
        """Whether each replica streams, and commits wait for one, if they are to, of which etcd knows too.

        Postgres knows it first. A leader that is lost before etcd does is succeeded by nobody.
        """
        with contextlib.suppress(OSError, aiohttp.ClientError, asyncpg.PostgresError, TimeoutError):
            leader = await self.leader()
            synchronous = bool((await self._ask(leader, "config")).get("synchronous_mode"))
            members = (await self._ask(leader, "cluster"))["members"]
            connection = await self.connect(leader)
            try:
                rows = await connection.fetch("select state, sync_state from pg_stat_replication")
            finally:
                await connection.close()
            streaming = [row["sync_state"] for row in rows if row["state"] == "streaming"]
            known = [member["role"] for member in members]
            return (
                len(streaming) == len(self.nodes) - 1
                and ("sync" in streaming) == synchronous
                and ("sync_standby" in known) == synchronous
            )
        return False

    async def _ask(self, node: Node, what: str) -> dict[str, Any]:
        """Return what a node's Patroni says."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(f"http://{node.place}:{node.rest}/{what}") as answer,
        ):
            told: dict[str, Any] = await answer.json()
            return told

    async def leads(self, node: Node) -> bool:
        """Whether a node says that it leads."""
        with contextlib.suppress(OSError, aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
                session.get(f"http://{node.place}:{node.rest}/primary") as answer,
            ):
                return answer.status == 200
        return False

    async def start(self, places: Sequence[tuple[str, Sequence[str]]], etcd_place: str) -> None:
        """Start etcd and a node at each place: an address, and the command that leads to where it is."""
        client, peer = (f"http://{etcd_place}:{port}" for port in free_ports(2))
        self.etcd = client.removeprefix("http://")
        urls = {"listen-client-urls": client, "advertise-client-urls": client, "listen-peer-urls": peer}
        given = [f"--{name}={url}" for name, url in urls.items()]
        given += [f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"]
        folder = self._folder("etcd")
        self._etcd = await self._run(folder, ["etcd", f"--data-dir={folder / 'data'}", *given])
        for name, (place, within) in zip("abc", places, strict=True):
            node = Node(name, self._folder(name), place, within)
            self.nodes.append(node)
            await self._start(node)
            if len(self.nodes) == 1:  # whose database the others copy
                await self.leader()
        await self.whole()

    async def _start(self, node: Node) -> None:
        recipe = node.folder / "patroni.yml"
        recipe.write_text(yaml.safe_dump(self._recipe(node)))
        node.process = await self._run(node.folder, ["patroni", str(recipe)], node.within)

    def _recipe(self, node: Node) -> dict[str, Any]:
        """Return the recipe with what everybody has to change changed, and small."""
        told: dict[str, Any] = yaml.safe_load(RECIPE.read_text())
        told["name"] = node.name
        told["restapi"] = dict.fromkeys(told["restapi"], f"{node.place}:{node.rest}")
        told["etcd3"]["hosts"] = [self.etcd]
        postgres = told["postgresql"]
        servers = _SERVERS.glob("*/bin/postgres")
        postgres |= {
            **dict.fromkeys(("listen", "connect_address"), node.host),
            "data_dir": str(node.folder / "data"),
            "bin_dir": str(max(servers, key=lambda found: int(found.parts[-3])).parent),
            "pgpass": str(node.folder / "pgpass"),
        }
        postgres["parameters"] |= {**_SMALL, "unix_socket_directories": str(node.folder)}
        for role in postgres["authentication"].values():
            role["password"] = self.password
        return told

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        if self.user is not None:
            os.chown(folder, self.user.uid, self.user.gid)
        return folder

    async def _run(
        self, folder: Path, command: list[str], within: Sequence[str] = ()
    ) -> asyncio.subprocess.Process:
        """Start a program as Postgres's user, which ends with us."""
        become = ["setpriv", "--pdeathsig", "TERM"]
        if self.user is not None:
            become += [f"--reuid={self.user.uid}", f"--regid={self.user.gid}", "--clear-groups"]
        with (folder / "said").open("ab") as said:
            return await asyncio.create_subprocess_exec(
                *within,
                *become,
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )

    async def stop(self) -> None:
        """End all of it."""
        for node in self.nodes:
            node.signal(signal.SIGCONT)
            await node.lose()
        if self.etcd:
            self._etcd.kill()
            await self._etcd.wait()


@asynccontextmanager
async def a_cluster() -> AsyncIterator[Cluster]:
    """Run three nodes on loopback until the block ends."""
    async with _running() as cluster:
        await cluster.start([("127.0.0.1", ())] * 3, "127.0.0.1")
        yield cluster


@asynccontextmanager
async def a_cluster_of_machines() -> AsyncIterator[Cluster]:
    """Run each node on a network of its own, until the block ends: the way there can be cut.

    Needs root, for network namespaces. Raises PermissionError where none can be made.
    """
    places = [(f"{NETWORK}.{number}", f"recount-{number}") for number in (2, 3, 4)]
    try:
        _ip("link", "add", BRIDGE, "type", "bridge")
        for own in ("1", "9"):  # the clients', and etcd's
            _ip("address", "add", f"{NETWORK}.{own}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for number, (place, name) in enumerate(places):
            line = f"recount-line{number}"
            _ip("netns", "add", name)
            _ip("link", "add", line, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", line, "master", BRIDGE, "up")
            _ip("-n", name, "address", "add", f"{place}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")
        async with _running() as cluster:
            within = [(place, ["nsenter", f"--net=/run/netns/{name}"]) for place, name in places]
            await cluster.start(within, f"{NETWORK}.9")
            yield cluster
    finally:
        for number, (_, name) in enumerate(places):
            _ip("link", "delete", f"recount-line{number}", must=False)
            _ip("netns", "delete", name, must=False)
        _ip("link", "delete", BRIDGE, must=False)


def silence(cluster: Cluster, node: Node) -> None:
    """Pull a node's cable: whatever is sent there or comes from there is gone, and nobody is told."""
    line = f"recount-line{cluster.nodes.index(node)}"
    address = _hardware_address(cluster, node)
    # Else our own kernel would soon say that there is nobody, as it does of a machine on the same wire alone.
    _ip("neighbour", "replace", node.place, "lladdr", address, "dev", BRIDGE, "nud", "permanent")
    _ip("link", "set", line, "nomaster")


def cut_off(cluster: Cluster, node: Node) -> None:
    """Cut a node from the others and from etcd, not from clients."""
    for place in (f"{NETWORK}.9", *(other.place for other in cluster.nodes if other is not node)):
        _ip("-n", _name_of(cluster, node), "route", "add", "blackhole", f"{place}/32")


def heal(cluster: Cluster) -> None:
    """Mend what was cut."""
    for number, node in enumerate(cluster.nodes):
        _ip("link", "set", f"recount-line{number}", "master", BRIDGE)
        _ip("neighbour", "delete", node.place, "dev", BRIDGE, must=False)
        _ip("-n", _name_of(cluster, node), "route", "flush", "type", "blackhole", must=False)


def _name_of(cluster: Cluster, node: Node) -> str:
    return f"recount-{cluster.nodes.index(node) + 2}"


def _hardware_address(cluster: Cluster, node: Node) -> str:
    said = _ip("-n", _name_of(cluster, node), "-o", "link", "show", "eth0")
    return said.partition("link/ether ")[2].split()[0]


def _ip(*arguments: str, must: bool = True) -> str:
    """Run `ip`. Raises PermissionError where it must do something and may not."""
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        raise PermissionError("there is no ip (Debian: iproute2)") from None
    if done.returncode and must:
        raise PermissionError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@asynccontextmanager
async def _running() -> AsyncIterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="recount-patroni-"))
    folder.chmod(0o755)
    cluster = Cluster(folder, service_user(folder / "none"))
    try:
        yield cluster
    except BaseException:
        for said in folder.glob("*/said"):
            print(said.parent.name, said.read_text(errors="replace")[-2_000:], sep="\n")
        raise
    finally:
        await cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _is_postgres(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
