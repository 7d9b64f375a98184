"""The example that tells status changes to a chat: stopped at any time, it leaves none out."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.given.bodies import a_body
from tests.given.folders import ROOT
from tests.given.receiver import receiving
from tests.given.running import Running, recount, running
from tests.given.waiting import eventually

EXAMPLE = ROOT / "examples" / "chat-notifier" / "reactions.toml"


async def _move(service: Running, number: int, status: str) -> None:
    data = {"feedback_id": 1, "title": "Dark mode", "status": status}
    answer = await service.post(a_body(number, action="item.update", data=data))
    assert answer[0] == 200, answer


async def test_it_goes_on_after_being_killed(tmp_path: Path, database_url: str) -> None:
    file = tmp_path / "reactions.toml"
    file.write_text(f'private_hosts = ["127.0.0.1"]\n{EXAMPLE.read_text()}')
    async with receiving() as chat:
        env = {"CHAT_URL": chat.people, "RECOUNT_REACTIONS": str(file), "RECOUNT_DATABASE_URL": database_url}
        async with running(tmp_path / "data", env=env) as service:
            await eventually(lambda: _has_begun(database_url), 60)
            for number, status in enumerate(("open", "planned"), 1):
                await _move(service, number, status)
            await eventually(lambda: chat.texts, 60)
            await service.stop(signal.SIGKILL)
        async with running(tmp_path / "data", env={"RECOUNT_DATABASE_URL": database_url}) as without:
            await _move(without, 3, "in-progress")
        async with running(tmp_path / "data", env=env):
            await eventually(lambda: "In progress" in chat.texts[-1], 60)

    assert "Planned" in chat.texts[0]
    assert len(set(chat.texts)) == 2


async def _has_begun(database_url: str) -> bool:
    ended = await recount("reactions", "list", env={"RECOUNT_DATABASE_URL": database_url})
    return "RUNNING" in ended.stdout
