"""The files of tests that take longest: begun first, they leave no process alone with much at the end."""

from __future__ import annotations

from typing import Final

LONGEST_FIRST: Final = (
    "deploy/test_patroni.py",
    "cli/test_broken_circumstances.py",
    "page/test_page.py",
    "page/test_page_behaving.py",
    "schema/test_graphql_isolation.py",
    "schema/test_private_notes.py",
    "backfill/test_backfill.py",
    "backfill/test_stopped.py",
    "schema/test_fast_path.py",
    "log/test_settings_of_the_database.py",
    "schema/test_silent_events.py",
    "test_settings.py",
    "page/test_page_asking.py",
    "projections/test_rebuild.py",
    "schema/test_reads_from_replicas.py",
    "page/test_page_time.py",
    "page/test_page_addresses.py",
    "page/test_page_finding.py",
    "page/test_page_reading.py",
    "backfill/test_reconcile.py",
    "operate/test_erasure.py",
)
"""The slowest first."""
