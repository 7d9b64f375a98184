"""A delivery's way is one trace of OpenTelemetry's, whichever instances have a part in it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.errors import InvalidSetting
from tests.given.bodies import a_body
from tests.given.serving import Started, serving
from tests.given.waiting import eventually

LIVE = "subscription { events(after: 0) { position } }"
PATIENCE_SECONDS = 60
MAIL = "jo.doe@example.com"


@dataclass
class Collector:
    """What was told to it."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def of(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    async def take(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        self.bodies.append(await request.read())
        return web.Response(content_type="application/x-protobuf")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    started = Collector()
    application = web.Application()
    application.router.add_post("/v1/traces", started.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    started.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    yield started
    await runner.cleanup()


@asynccontextmanager
async def traced(database_url: str, folder: Path, url: str) -> AsyncIterator[Started]:
    settings = {"database_url": database_url, "data_dir": str(folder), "port": "0", "webhook_keys": "key"}
    async with serving(settings | {"traces_url": url}) as started:
        yield started


async def test_a_delivery_is_one_trace_from_its_post_to_the_frame_that_another_instance_sends(
    database_url: str, tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    async with (
        traced(database_url, tmp_path / "one", collector.url) as one,
        traced(database_url, tmp_path / "two", collector.url) as two,
        two.socket() as live,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        await live.send_json({"id": "1", "type": "subscribe", "payload": {"query": LIVE}})
        for number in (1, 2):
            await one.post(a_body(number, data={"feedback_id": number, "title": f"from {MAIL}"}))
            await two.ask(f"{{ events(minPosition: {number}) {{ totalCount }} }}")
            message = await live.receive_json()
            while message["type"] != "next":
                message = await live.receive_json()
        await eventually(lambda: len(collector.spans) == 6, PATIENCE_SECONDS)

    deliveries, projections, frames = map(collector.of, ("delivery", "projection", "frame"))
    assert [len(spans) for spans in (deliveries, projections, frames)] == [2, 2, 2]
    assert len({span.trace_id for span in collector.spans}) == 2
    for root in deliveries:
        assert not root.parent_span_id
        parts = [span for span in (*projections, *frames) if span.trace_id == root.trace_id]
        assert sorted(span.name for span in parts) == ["frame", "projection"]
        assert {span.parent_span_id for span in parts} == {root.span_id}
        assert all(root.start_time_unix_nano < span.end_time_unix_nano for span in parts)
    assert len({span.span_id for span in collector.spans}) == 6


async def test_nothing_of_what_was_delivered_is_told_but_its_position_product_and_action(
    database_url: str, tmp_path: Path, collector: Collector
) -> None:
    async with traced(database_url, tmp_path, collector.url) as started:
        await started.post(a_body(1, data={"feedback_id": 1, "title": f"from {MAIL}"}))
        await started.ask("{ events(minPosition: 1) { totalCount } }")

    assert collector.spans
    names = {fact.key for span in collector.spans for fact in span.attributes}
    assert names == {"recount.outcome", "recount.action", "recount.product", "recount.position"}
    for secret in (MAIL, "key", "webhooks"):
        assert all(secret.encode() not in body for body in collector.bodies)


async def test_what_comes_again_is_a_part_of_the_first_ones_trace(
    database_url: str, tmp_path: Path, collector: Collector
) -> None:
    async with traced(database_url, tmp_path, collector.url) as started:
        for _ in range(2):
            await started.post(a_body(1))

    first, again = collector.of("delivery")
    assert again.trace_id == first.trace_id
    assert again.parent_span_id == first.span_id


async def test_a_collector_that_is_away_keeps_no_delivery_waiting(database_url: str, tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with traced(database_url, tmp_path, "http://127.0.0.1:9/v1/traces") as started:
            assert (await started.post(a_body(1)))[1]["position"] == 1


async def test_without_its_packages_the_setting_is_refused_with_what_to_install(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "service.log.traces", None)
    with pytest.raises(InvalidSetting, match=r"pip install 'recount-feedback\[otel\]'"):
        async with traced(database_url, tmp_path, "http://127.0.0.1:9/v1/traces"):
            pass


def test_nothing_of_it_is_loaded_where_it_is_off() -> None:
    code = "import sys, service.cli; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
