"""Draws the curves of the results files as PNG, into `docs/plots/`, with the matplotlib of the peers' venv.

`python -m bench` calls it; by hand: `bench/.peers/venv/bin/python bench/plots.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib  # type: ignore[import-not-found]

matplotlib.use("Agg")
from matplotlib import pyplot, ticker

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PLOTS = ROOT / "docs" / "plots"
TITLES = {
    "soak-memory": "Memory of the service in half an hour at 300 events/s",
    "ingest-latency": "Acknowledging one by one: p99 under rising load",
    "query-latency": "Query A: p99 under rising load",
}


def curves() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield each curve of each full run: its plot, itself, and where it was measured."""
    for path in sorted(RESULTS.glob("*.json")):
        content = json.loads(path.read_text())
        if not content.get("quick"):
            for curve in content.get("curves", ()):
                yield curve["plot"], curve, f"{content['machine']}, {content['measured_at'][:10]}"


def main() -> None:
    """Draw every plot that there are curves for."""
    plots: dict[str, list[dict[str, Any]]] = {}
    where: dict[str, str] = {}
    for plot, curve, machine in curves():
        plots.setdefault(plot, []).append(curve)
        where[plot] = machine
    PLOTS.mkdir(parents=True, exist_ok=True)
    for plot, drawn in plots.items():
        draw = panels if plot.startswith("growth") else together
        draw(plot, drawn, where[plot])
        print(PLOTS.relative_to(ROOT) / f"{plot}.png")


def together(plot: str, drawn: list[dict[str, Any]], machine: str) -> None:
    """Draw all curves of a plot over each other: the sides of one comparison."""
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for curve in drawn:
        ours = curve["side"].startswith("recount")
        axes.plot(*_xy(curve), marker="o", markersize=3, linewidth=2.2 if ours else 1.2, label=curve["side"])
    if drawn[0]["x"] == "minutes":
        axes.set_ylim(bottom=0)
    else:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set_xlabel(drawn[0]["x"])
    axes.set_ylabel(drawn[0]["y"])
    axes.set_title(TITLES.get(plot, plot), fontsize=11)
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(fontsize=8)
    _save(figure, plot, machine)


def panels(plot: str, drawn: list[dict[str, Any]], machine: str) -> None:
    """Draw each curve of a plot by itself: measurements that share only the length of the log."""
    columns = 3
    rows = -(-len(drawn) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(4 * columns, 2.6 * rows), squeeze=False)
    for number, curve in enumerate(drawn):
        axes = grid[number // columns][number % columns]
        axes.plot(*_xy(curve), marker="o", linewidth=2)
        axes.set_xscale("log")
        axes.set_ylim(0, 1.1 * max(_xy(curve)[1]) or 1)
        axes.xaxis.set_minor_formatter(ticker.NullFormatter())
        axes.set_title(curve["side"], fontsize=8)
        axes.grid(visible=True, alpha=0.25)
        axes.tick_params(labelsize=7)
        axes.set_xlabel(curve["x"], fontsize=7)
    for number in range(len(drawn), rows * columns):
        grid[number // columns][number % columns].axis("off")
    _save(figure, plot, machine)


def _xy(curve: dict[str, Any]) -> tuple[list[float], list[float]]:
    return [point[0] for point in curve["points"]], [point[1] for point in curve["points"]]


def _save(figure: Any, plot: str, machine: str) -> None:
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.text(0.01, 0.005, machine, fontsize=6, color="gray")
    figure.savefig(PLOTS / f"{plot}.png", dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
