"""Metrics: what is counted, that labels stay bounded, and that the board and the alerts name what exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import yaml
from prometheus_client import generate_latest

from service.operate.gauges import Gauges
from service.operate.silence import DAY_SECONDS, Silence
from service.web.metrics import PRODUCTS_MAX, Fate, Metrics
from tests.given.folders import ROOT

MONITORING = ROOT / "docs" / "monitoring"
PRODUCT = 5456534244
NAMES = re.compile(r"\b(?:recount|process|python)_[a-z_]+\b")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(operations=["items", "item"])


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_each_delivery_is_counted_by_its_outcome_and_timed(metrics: Metrics) -> None:
    metrics.delivery(Fate.RECORDED, 0.004, PRODUCT)
    metrics.delivery(Fate.UNAUTHORIZED, 0.001)

    assert _value(metrics, "recount_deliveries_total", outcome="recorded", product=str(PRODUCT)) == 1
    assert _value(metrics, "recount_deliveries_total", outcome="unauthorized", product="unknown") == 1
    assert _value(metrics, "recount_ack_seconds_bucket", outcome="recorded", le="0.005") == 1
    assert _value(metrics, "recount_ack_seconds_bucket", outcome="recorded", le="0.0025") == 0


def test_a_stranger_cannot_make_labels_without_end(metrics: Metrics) -> None:
    for product in range(10 * PRODUCTS_MAX):
        metrics.delivery(Fate.RECORDED, 0.001, product + 1)
    for number in range(100):
        metrics.graphql(f"operation{number}", 0.001)

    text = generate_latest(metrics.registry).decode()
    assert len(set(re.findall(r'product="([^"]*)"', text))) == PRODUCTS_MAX + 1
    assert set(re.findall(r'operation="([^"]*)"', text)) == {"other"}
    assert _value(metrics, "recount_deliveries_total", outcome="recorded", product="other") == 450


def test_levels_are_asked_for_at_each_scrape(metrics: Metrics) -> None:
    waiting = [3]
    metrics.watch_appender(lambda: len(waiting))
    metrics.watch_spool(lambda: 2, lambda: 900, 1000)
    metrics.watch_subscribers(lambda: 5, lambda: 70)
    waiting.append(4)

    assert _value(metrics, "recount_append_queue_events") == 2
    assert _value(metrics, "recount_spool_bytes") == 900
    assert _value(metrics, "recount_spool_max_bytes") == 1000
    assert _value(metrics, "recount_subscribers") == 5
    assert _value(metrics, "recount_subscription_deliveries_total") == 70


async def test_what_the_database_knows_is_sampled(pool: asyncpg.Pool, metrics: Metrics) -> None:
    await pool.execute(
        "insert into log.quarantine (id, received_at, last_received_at, reason, body, origin) "
        "values (gen_random_uuid(), 'epoch', 'epoch', 'no JSON', '', 'WEBHOOK')"
    )
    await pool.execute(
        "insert into log.keys (digest, kind, label, last_used_at) values ('a', 'WEBHOOK', 'board', 'epoch')"
    )
    await pool.execute("insert into log.reactions (name, position, state) values ('rule', 0, 'STOPPED')")
    metrics.watch_pool("reads", pool)

    assert await Gauges(pool, metrics).sample()

    assert _value(metrics, "recount_postgres_up") == 1
    assert _value(metrics, "recount_log_position") == 0
    assert _value(metrics, "recount_quarantine_deliveries") == 1
    assert _value(metrics, "recount_quarantine_oldest_timestamp_seconds") == 0
    assert _value(metrics, "recount_key_last_used_timestamp_seconds", kind="WEBHOOK", key="board") == 0
    assert _value(metrics, "recount_reaction_state", reaction="rule", state="STOPPED") == 1
    assert _value(metrics, "recount_reaction_state", reaction="rule", state="RUNNING") == 0
    assert _value(metrics, "recount_reaction_behind_events", reaction="rule") == 0
    assert _value(metrics, "recount_pool_max_connections", pool="reads") == 10


async def test_a_key_that_another_replaces_is_one_with_it_and_no_alarm(
    pool: asyncpg.Pool, metrics: Metrics
) -> None:
    await pool.execute(
        "insert into log.keys (digest, kind, label, expires_at, last_used_at) "
        "values ('a', 'WEBHOOK', 'board', clock_timestamp() + interval '1 day', 'epoch'), "
        "('b', 'WEBHOOK', 'board', null, null), ('c', 'API', 'short', '2100-01-01Z', null)"
    )

    assert await Gauges(pool, metrics).sample()

    told = [line for line in generate_latest(metrics.registry).decode().splitlines() if 'key="' in line]
    assert told == [
        'recount_key_last_used_timestamp_seconds{key="short",kind="API"} 0.0',
        'recount_key_last_used_timestamp_seconds{key="board",kind="WEBHOOK"} 0.0',
        'recount_key_expires_timestamp_seconds{key="short",kind="API"} 4.1024448e+09',
    ]


async def test_the_newest_sweep_of_a_product_tells_its_state_and_all_of_them_what_they_took(
    pool: asyncpg.Pool, metrics: Metrics
) -> None:
    await pool.executemany(
        "insert into log.sweeps"
        " (product_id, kind, asked, head, state, started_at, finished_at, requests, recorded)"
        " values ($1, 'RECONCILE', '{}', 0, $2, to_timestamp($3), to_timestamp($3 + 60), $4, $5)",
        [(PRODUCT, "COMPLETE", 100.0, 31, 260), (PRODUCT, "PARTIAL", 1_000.0, 7, 2)],
    )

    assert await Gauges(pool, metrics).sample()

    of = {"product": str(PRODUCT), "kind": "RECONCILE"}
    assert _value(metrics, "recount_sweep_state", state="PARTIAL", **of) == 1
    assert _value(metrics, "recount_sweep_state", state="COMPLETE", **of) == 0
    assert _value(metrics, "recount_sweep_requests", **of) == 38
    assert _value(metrics, "recount_sweep_events", **of) == 262
    assert _value(metrics, "recount_sweep_complete_timestamp_seconds", **of) == 160


def test_silence_alarms_when_much_is_missing_and_only_then() -> None:
    def silent(days: float, usual: float) -> bool:
        return Silence(PRODUCT, 0, days * DAY_SECONDS, usual).is_alarming(after_days=3)

    assert silent(days=3.5, usual=40)
    assert not silent(days=2.5, usual=40)  # a long weekend
    assert not silent(days=7, usual=1)  # seven events may be missing by chance
    assert silent(days=20, usual=1)
    assert str(Silence(7, 0, 3 * DAY_SECONDS, 40)) == (
        "product 7: no event for 3.0 days; the month before had 40.0 a day"
    )
    assert str(Silence(7, 0, 60, 0)) == (
        "product 7: the last event came within a day; the month before had none"
    )


# The board and the alert rules


def _existing(metrics: Metrics) -> set[str]:
    """Every name that a query may use, the series of histograms and the metrics without a sample too."""
    names: set[str] = set()
    for family in metrics.registry.collect():
        names |= {sample.name for sample in family.samples}
        suffixes = {
            "counter": ["_total"],
            "histogram": ["_bucket", "_sum", "_count"],
            "info": ["_info"],
        }.get(family.type, [""])
        names |= {family.name + suffix for suffix in suffixes}
    return names


def _expressions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query", "definition") and isinstance(value, str):
                yield value
            yield from _expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from _expressions(value)


@pytest.mark.parametrize("file", ["grafana-board.json", "alerts.yml"])
def test_every_metric_that_the_board_and_the_alerts_name_exists(
    file: str, pool: asyncpg.Pool, metrics: Metrics
) -> None:
    Gauges(pool, metrics)
    expressions = list(_expressions(yaml.safe_load((MONITORING / file).read_text())))

    named = {name for expression in expressions for name in NAMES.findall(expression)}

    assert len(expressions) > 10
    assert named - _existing(metrics) == set()


def test_every_metric_of_ours_is_on_the_board(pool: asyncpg.Pool, metrics: Metrics) -> None:
    Gauges(pool, metrics)
    board = (MONITORING / "grafana-board.json").read_text()

    families = {family.name for family in metrics.registry.collect() if family.name.startswith("recount_")}

    assert sorted(name for name in families if name not in board) == []


def test_the_board_has_a_row_for_products_and_one_for_the_service() -> None:
    board = json.loads((MONITORING / "grafana-board.json").read_text())

    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]

    assert rows == ["Products", "Service"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]

    rules = [rule for group in groups for rule in group["rules"]]

    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_promtool_accepts_the_alerts() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")

    answer = subprocess.run(
        [promtool, "check", "rules", MONITORING / "alerts.yml"], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr
