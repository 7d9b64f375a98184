"""The Python library for event sourcing: its projection runner over its Postgres recorder.

A stretch of the log is first stored in its own table, which is not timed; started again, the projection goes
on with the next one, from the position that it keeps. As the library has it, each event is one transaction of
the view: its upserts and the position that has been reached.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import psycopg
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from folding import COLUMNS, TABLES, said
from recorders import Delivery, Log, connection_settings
from serving import stretch
from upserts import upsert

STORE = """
insert into log_events (originator_id, originator_version, topic, state)
select gen_random_uuid(), 1, 'recorders:Delivery',
       convert_to(jsonb_build_object('position', position, 'product_id', product_id, 'action', action,
                                     'occurred_at', occurred_at, 'data', data)::text, 'UTF8')
  from log.events
 where position > %s
   and position <= %s
 order by position
"""
STATEMENTS = {name: upsert(name, lambda _: "%s") for name in COLUMNS}


class BoardView(PostgresTrackingRecorder):
    """The three tables, written together with how far they have got."""

    def apply(self, event: Delivery, tracking: Tracking) -> None:
        """Upsert what one event says."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            occurred_at = dt.datetime.fromisoformat(event.occurred_at)
            for table, key, values in said(
                event.position, event.product_id, event.action, occurred_at, event.data
            ):
                cursor.execute(STATEMENTS[table], (*key, *values, event.position), prepare=True)


class Board(Projection[BoardView]):
    """Hands each event to the view."""

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Apply one event."""
        self.view.apply(domain_event, tracking)


def main() -> None:
    """Rebuild once and print how long it took."""
    given = stretch()
    settings = connection_settings(given.dsn)
    environment = {"PERSISTENCE_MODULE": "eventsourcing.postgres"} | {
        f"POSTGRES_{name.upper()}": value for name, value in settings.items()
    }
    Log(environment).close()  # has made its table
    with psycopg.connect(given.dsn, autocommit=True) as connection:
        if given.after == 0:
            connection.execute(TABLES)
        events = connection.execute(STORE, (given.after, given.last)).rowcount
        connection.execute("vacuum analyze log_events")
        row = connection.execute("select max(notification_id) from log_events").fetchone()
    assert row
    (last,) = row
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Log, projection_class=Board, view_class=BoardView, env=environment
    ) as runner:
        runner.wait(last, timeout=3_600)
        print(json.dumps({"events": events, "seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main()
