"""Tables on a terminal of eighty columns: what is to be copied stands in one piece."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest
from rich.console import Console

from service.cli import terminal

ID = "0198c5a2-7d1e-7c3b-9a41-5e6f7a8b9c0d"
AT = datetime(2026, 11, 28, 12, 18, 24, 247125, tzinfo=UTC)


def shown(monkeypatch: pytest.MonkeyPatch, columns: tuple[str, ...], *rows: tuple[object, ...]) -> list[str]:
    screen = io.StringIO()
    monkeypatch.setattr(
        terminal,
        "out",
        Console(file=screen, width=80, force_terminal=True, color_system=None, soft_wrap=True),
    )
    terminal.print_table(columns, rows)
    return screen.getvalue().splitlines()


def test_ids_are_whole_where_a_text_beside_them_can_be_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "not JSON: unexpected character at 1, where a value has to begin"
    lines = shown(monkeypatch, ("id", "position", "error"), (ID, 812, reason), (ID, 9, "none"))

    assert [ID in line for line in lines].count(True) == 2
    assert max(map(len, lines)) <= 80
    assert len(lines) > 3


def test_rows_that_do_not_fit_side_by_side_are_blocks_of_whole_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    columns = (
        "label",
        "kind",
        "product_id",
        "scopes",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
    )
    row = ("sleekplan-production", "API", 9000000001, "admin+personal+raw+read", AT, None, None, AT)

    lines = [line.split() for line in shown(monkeypatch, columns, row)]

    assert ["label", "sleekplan-production"] in lines
    assert ["scopes", "admin+personal+raw+read"] in lines
    assert ["created_at", "2026-11-28", "12:18:24"] in lines
    assert ["expires_at"] in lines


def test_a_text_longer_than_any_id_does_not_turn_a_table_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, ("position", "changed"), (812, "x" * 200))

    assert lines[0].split() == ["position", "changed"]
    assert sum(line.count("x") for line in lines) == 200


def test_what_looks_like_markup_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "[red]title[/red]" in shown(monkeypatch, ("title",), ("[red]title[/red]",))[1]


HOSTILE = "\x1b]0;gone\x07\x1b[2J\x9b31m \u202e\r"
SHOWN = r"\u001b]0;gone\u0007\u001b[2J\u009b31m \u202e\u000d"


def test_a_terminal_acts_on_nothing_that_a_text_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Titles, names and bodies are strangers': what they hold is shown, in tables and in lines."""
    assert SHOWN in shown(monkeypatch, ("title",), (HOSTILE,))[1]

    screen = io.StringIO()
    terminal.Screen(file=screen, force_terminal=True, color_system=None).print(HOSTILE, markup=False)
    assert screen.getvalue() == f"{SHOWN}\n"

    monkeypatch.undo()
    terminal.print_table(("title", "status"), [(f"{HOSTILE}\nforged\trow", "open")])
    assert capsys.readouterr().out == f"title\tstatus\n{SHOWN} forged row\topen\n"


def test_elsewhere_a_long_step_tells_in_lines_how_far_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with terminal.progress_bar("exporting", line_seconds=0) as advance:
        advance(1_500, 6_000)
        advance(1_500, 6_000)  # within a step, of which nothing is done until it ends
        advance(6_000, 6_000)

    first, last = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"exporting: 1,500 of 6,000, [\d,]+/s, [\d.]+ s left", first)
    assert re.fullmatch(r"exporting: 6,000 of 6,000, [\d,]+/s, 0\.0 s left", last)


def test_elsewhere_a_short_step_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress_bar("exporting") as advance:
        advance(6_000, 6_000)

    assert capsys.readouterr().err == ""
