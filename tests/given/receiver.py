"""A receiver of webhooks that checks every signature, and behaves as badly as it is told to."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

from tests.given.waiting import eventually

SECRET = "whsec_" + "cmVjb3VudCdzIHRlc3RzIG9ubHksIG5vIHNlY3JldCE="

Behaviour = Callable[[web.Request], Awaitable[web.Response]]


async def take(_: web.Request) -> web.Response:
    return web.Response()


@dataclass
class Receiver:
    """What was taken, in order. `behaves` answers each message that is well signed; 2xx counts as taken."""

    url: str = ""
    behaves: Behaviour = take
    taken: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """The path and the id of every request, whatever became of it."""
    forged: int = 0
    texts: list[str] = field(default_factory=list)
    """What people were told by way of /people, where a JSON address of Apprise's leads."""

    @property
    def people(self) -> str:
        """The address of a chat."""
        return self.url.replace("http://", "json://").replace("/hook", "/people")

    @property
    def ids(self) -> list[str]:
        """What was taken, by id, without marks."""
        return [unmarked(message["id"]) for message in self.taken]

    @property
    def positions(self) -> list[int]:
        return [message["position"] for message in self.taken]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.path == "/people":
            answer = await self.behaves(request)
            if 200 <= answer.status < 300:
                said = json.loads(body)
                self.texts.append(f"{said['title']}\n{said['message']}".strip())
            return answer
        self.asked.append(f"{request.path} {request.headers.get('webhook-id')}")
        try:
            Webhook(SECRET).verify(body, dict(request.headers))
        except Exception:
            self.forged += 1
            return web.Response(status=401)
        answer = await self.behaves(request)
        message = json.loads(body)
        assert message["id"] == request.headers["webhook-id"]
        if 200 <= answer.status < 300:
            self.taken.append(message)
        return answer

    async def has(self, count: int, seconds: float = 60) -> None:
        """Wait until so many were taken."""
        await eventually(lambda: len(self.taken) >= count, seconds)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver on a free port until the block ends."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def unmarked(id: str) -> str:
    """Return an id without the mark of its event, which each log has others of."""
    return re.sub("_[0-9a-f]{8}(?=_|$)", "", id)


def answers(*statuses: int, headers: dict[str, str] | None = None) -> Behaviour:
    """Answer these one after the other, then 200."""
    left = list(statuses)

    async def behave(_: web.Request) -> web.Response:
        return web.Response(status=left.pop(0), headers=headers) if left else web.Response()

    return behave


async def hang(request: web.Request) -> web.Response:
    """Answer nothing for as long as somebody waits for it."""
    while request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.01)
    return web.Response(status=500)


EVENTS = "subscription { events { position type summary } }"


def a_rule(folder: Path, url: str, name: str = "all", document: str = EVENTS, **members: object) -> str:
    """A rule as the file has it, with its address and secret in files beside it."""
    (folder / f"{name}.url").write_text(url)
    (folder / f"{name}.secret").write_text(SECRET)
    given = "".join(f"{member} = {json.dumps(value)}\n" for member, value in members.items())
    return (
        f'[[reaction]]\nname = "{name}"\n{given}document = """\n{document}\n"""\n'
        f'webhook = {{ url_file = "{folder / name}.url", secret_file = "{folder / name}.secret" }}\n'
    )


def a_file(folder: Path, *rules: str, private_hosts: tuple[str, ...] = ("127.0.0.1",)) -> Path:
    """A file of rules."""
    path = folder / "reactions.toml"
    path.write_text(f"private_hosts = {json.dumps(private_hosts)}\n\n" + "\n".join(rules))
    return path


def a_message(folder: Path, url: str, text: str, name: str = "chat", **members: object) -> str:
    """A rule that tells people."""
    rule = a_rule(folder, url, name, **members)  # type: ignore[arg-type]
    return rule.rpartition("webhook = ")[0] + (
        f'message = {{ url_file = "{folder / name}.url", text = {json.dumps(text)} }}\n'
    )
