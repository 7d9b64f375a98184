// Draws the small curve of a row: how its votes went, without axes.

import { svg } from "./dom.js";

const [WIDE, HIGH] = [96, 24];

/** A line of values without axes, which `redraw` draws; what it shows stands beside it in figures. */
export function sparkline() {
  return svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "spark", "aria-hidden": "true" });
}

/** Give a sparkline its values, or others. */
export function redraw(drawing, values) {
  const known = values.filter((value) => value !== null);
  const points = known.length < 2 ? [] : scaled(known);
  const line = points.length ? `M${points.map((point) => point.join(" ")).join("L")}` : "";
  if (drawing.dataset.line === line) return;
  drawing.dataset.line = line;
  const [cx, cy] = points.at(-1) ?? [];
  drawing.replaceChildren(...(line ? [svg("path", { d: line }), svg("circle", { cx, cy, r: 2 })] : []));
}

function scaled(values) {
  const least = Math.min(...values);
  const span = Math.max(...values) - least || 1;
  return values.map((value, i) => [
    round(2 + (i / (values.length - 1)) * (WIDE - 4)), round(HIGH - 3 - ((value - least) / span) * (HIGH - 6)),
  ]);
}

const round = (value) => Math.round(value * 10) / 10;
