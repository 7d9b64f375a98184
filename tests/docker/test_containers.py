"""The image, the compose file and testcontainers in a Docker engine. `make docker-test` brings one along."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.given.folders import PAYLOADS, ROOT
from tests.given.ports import free_port

pytestmark = pytest.mark.docker

PROJECT = "recount-docker-test"
KEY, TOKEN = "key-of-the-docker-test", "token-of-the-docker-test"
PASSWORD = "pass/word@of:the #test"  # of characters that an address could not hold as they are
SECRETS = {"POSTGRES_PASSWORD": PASSWORD, "RECOUNT_WEBHOOK_KEYS": KEY, "RECOUNT_API_TOKENS": TOKEN}
BUILD_SECONDS_MAX, COMMAND_SECONDS_MAX, READY_SECONDS_MAX = 600, 120, 60

Ended = subprocess.CompletedProcess[str]


def docker(*arguments: str, env: Mapping[str, str] = SECRETS, seconds: float = COMMAND_SECONDS_MAX) -> Ended:
    """Run a command of Docker's in the checkout and return how it ended."""
    return subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


class Served:
    """A service in a container, by the port of this machine that leads to it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def request(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def until(self, holds: Callable[[], bool]) -> None:
        """Return once something holds. Raises AssertionError, with what was wrong, when it takes too long."""
        end = time.monotonic() + READY_SECONDS_MAX
        while True:
            problem: Exception | None = None
            try:
                if holds():
                    return
            except (AssertionError, OSError, http.client.HTTPException) as met:
                problem = met
            assert time.monotonic() < end, problem
            time.sleep(0.1)

    def until_ready(self) -> None:
        self.until(lambda: self.request("GET", "/readyz")[0] == 200)

    def deliver(self, item: str, key: str = KEY) -> dict[str, Any]:
        """Post an item's creation as Sleekplan would, and return what was answered."""
        body = json.loads((PAYLOADS / "item.create.json").read_text())
        body["data"] |= {"feedback_id": item, "title": f"Item {item}"}
        status, answer = self.request("POST", f"/webhooks?key={key}", body)
        assert status == 200, answer
        told: dict[str, Any] = json.loads(answer)
        return told

    def title(self, item: str, at_least: int | None) -> str | None:
        """Return an item's title over GraphQL, read at a position or after it."""
        query = "query ($id: ID!, $at: Position) { item(sleekplanId: $id, minPosition: $at) { title } }"
        asked = {"query": query, "variables": {"id": item, "at": at_least}}
        status, answer = self.request("POST", "/graphql", asked, Authorization=f"Bearer {TOKEN}")
        told = json.loads(answer)
        assert (status, "errors" in told) == (200, False), answer
        return told["data"]["item"] and str(told["data"]["item"]["title"])


class Stack(Served):
    """What docker-compose.yml starts."""

    def compose(self, *arguments: str, seconds: float = COMMAND_SECONDS_MAX) -> str:
        """Run a command of docker compose's, which must succeed, and return what it printed."""
        env = {**SECRETS, "RECOUNT_PORT": str(self.port)}
        ended = docker("compose", "--project-name", PROJECT, *arguments, env=env, seconds=seconds)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def inspect(self, service: str, form: str) -> str:
        """Return something that Docker knows about a service's container."""
        container = self.compose("ps", "--all", "--quiet", service).strip()
        return docker("inspect", "--format", form, container).stdout.strip()

    def inside(self, code: str) -> Any:
        """Return what a line of Python prints in the service's container, as JSON."""
        return json.loads(self.compose("exec", "--no-TTY", "recount", "python", "-c", code))


@pytest.fixture(scope="module", autouse=True)
def engine() -> None:
    """Skip all where no engine answers."""
    if shutil.which("docker") is None or docker("info").returncode != 0:
        pytest.skip("no Docker engine answers; `make docker-test` brings one along where it can")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Both containers, built and ready; nothing is left of them, their volumes or their network."""
    stack = Stack(free_port())
    try:
        stack.compose("up", "--build", "--detach", "--wait", seconds=BUILD_SECONDS_MAX)
        stack.until_ready()
        yield stack
    finally:
        print(stack.compose("logs", "--no-color", "--tail", "50"))
        stack.compose("down", "--volumes", "--remove-orphans")


def test_both_containers_are_healthy(stack):
    assert stack.inspect("postgres", "{{.State.Health.Status}}") == "healthy"
    assert stack.inspect("recount", "{{.State.Health.Status}}") == "healthy"


def test_a_delivery_is_recorded_and_can_be_asked_for(stack):
    told = stack.deliver("101")

    assert told["position"] >= 1
    assert stack.title("101", told["position"]) == "Item 101"


@pytest.mark.parametrize("service", ["postgres", "recount"])
@pytest.mark.parametrize("command", ["restart", "kill"])
def test_what_was_recorded_outlives_a_restart_and_a_kill(stack, service, command):
    item = f"20{('postgres', 'recount').index(service)}{('restart', 'kill').index(command)}"
    before = stack.deliver(item)

    stack.compose(command, service)
    stack.compose("up", "--detach", "--wait")
    stack.until_ready()

    assert stack.title(item, before["position"]) == f"Item {item}"
    assert stack.deliver(item)["duplicate"] is True
    assert stack.deliver(f"{item}9")["position"] == before["position"] + 1


def test_a_delivery_without_postgres_is_kept_and_recorded_once_it_is_back(stack):
    stack.compose("stop", "postgres")
    told = stack.deliver("301")
    stack.compose("start", "postgres")
    stack.until(lambda: stack.title("301", None) == "Item 301")
    again = stack.deliver("301")

    assert told == {"position": None, "duplicate": None, "spooled": True}
    assert again["duplicate"] is True


def test_what_was_recorded_outlives_containers_and_network(stack):
    before = stack.deliver("401")

    stack.compose("down")
    stack.compose("up", "--detach", "--wait")
    stack.until_ready()

    assert stack.title("401", before["position"]) == "Item 401"
    assert stack.deliver("402")["position"] == before["position"] + 1


def test_it_may_write_its_own_folders_only_and_has_no_privileges(stack):
    code = """if True:
        import json, os, pathlib
        told = pathlib.Path("/proc/1/status").read_text().splitlines()
        status = dict(line.split(":\\t", 1) for line in told)
        may_write = [name for name in ("/", "/opt/recount", "/etc", "/tmp", ".") if os.access(name, os.W_OK)]
        facts = [status[name] for name in ("CapEff", "CapBnd", "NoNewPrivs")]
        print(json.dumps([status["Uid"].split(), *facts, may_write, os.getcwd()]))
    """
    users, effective, bound, no_new, may_write, folder = stack.inside(code)

    assert users == ["10001"] * 4
    assert {effective, bound} == {"0" * 16}
    assert no_new == "1"
    assert (may_write, folder) == (["/tmp", "."], "/var/lib/recount")
    assert stack.inspect("recount", "{{.HostConfig.ReadonlyRootfs}}") == "true"


def test_keys_and_tokens_are_asked_for(stack):
    assert stack.request("POST", "/webhooks?key=another", {})[0] == 401
    assert stack.request("POST", "/graphql", {"query": "{ __typename }"})[0] == 401


@pytest.mark.parametrize("missing", SECRETS)
def test_nothing_starts_without_a_secret(missing):
    without = {**SECRETS, missing: ""}
    ended = docker("compose", "--project-name", f"{PROJECT}-bare", "up", "--detach", env=without)

    assert ended.returncode != 0
    assert f"set {missing} to" in ended.stderr


def test_commands_run_in_the_container(stack):
    position = stack.deliver("501")["position"]

    exported = stack.compose("exec", "--no-TTY", "recount", "recount", "export")
    stack.compose("exec", "--no-TTY", "recount", "recount", "verify")

    assert json.loads(exported.splitlines()[-1])["position"] == position


def test_it_stops_when_told_and_says_no_secret(stack):
    stack.compose("stop", "recount")
    code = stack.inspect("recount", "{{.State.ExitCode}}")
    said = stack.compose("logs", "--no-color", "recount")
    stack.compose("up", "--detach", "--wait")

    assert code == "0"
    assert said
    assert [secret for secret in SECRETS.values() if secret in said] == []


def test_the_image_alone_brings_a_postgres_of_its_own(stack):
    name, served = f"{PROJECT}-alone", Served(free_port())
    given = ["--read-only", "--tmpfs=/tmp", f"--volume={name}:/var/lib/recount"]
    given += [
        f"--publish=127.0.0.1:{served.port}:8080",
        "--env=RECOUNT_WEBHOOK_KEYS",
        "--env=RECOUNT_API_TOKENS",
    ]
    try:
        for number in (1, 2):
            started = docker("run", "--detach", f"--name={name}", *given, "recount")
            assert started.returncode == 0, started.stderr
            served.until_ready()
            assert served.deliver(str(number))["position"] == number
            assert docker("stop", name).returncode == 0
            assert docker("rm", name).returncode == 0
    finally:
        print(docker("logs", name).stderr)
        docker("rm", "--force", name)
        docker("volume", "rm", name)


def test_tests_use_a_postgres_of_testcontainers():
    """By tests of the log, in a run of their own."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/log/test_event_store.py"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)

    assert "postgres: of Docker" in ended.stdout
    assert re.search(r" \d+ passed in ", ended.stdout), ended.stdout[-3000:]
    assert ended.returncode == 0, ended.stdout[-3000:]
