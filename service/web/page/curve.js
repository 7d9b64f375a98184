// Draws the votes of an item over the statuses that it stood in, as SVG.

import { svg } from "./dom.js";

const round = (value) => Math.round(value * 10) / 10;

/**
 * A curve of votes over time above bands of statuses.
 *
 * `points` are `{at, value}` with `at` in milliseconds; `bands` are `{from, to, role, name}`; both in order. It is
 * drawn for a width in pixels, so that its words keep their size.
 */
export function voteCurve({ points, bands, from, to, label, width }) {
  const [height, floor] = [200, 172];
  const across = (at) => round(((at - from) / Math.max(to - from, 1)) * width);
  const most = Math.max(1, ...points.map(({ value }) => value));
  const least = Math.min(0, ...points.map(({ value }) => value));
  const up = (value) => round(floor - ((value - least) / (most - least)) * (floor - 16));
  const steps = points.map(({ at, value }, i) => `${i ? "L" : "M"}${across(at)} ${up(value)}`).join("");
  const area = points.length ? `${steps}L${across(points.at(-1).at)} ${floor}L${across(points[0].at)} ${floor}Z` : "";
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img", "aria-label": label },
    bands.map((band, i) => bandOf(band, i, across, height)),
    svg("path", { d: area, class: "area" }),
    svg("path", { d: steps, class: "line" }),
    svg("line", { x1: 0, x2: width, y1: floor, y2: floor, class: "floor" }),
    svg("text", { x: 4, y: 12 }, String(most)),
  );
}

function bandOf({ from, to, role, name }, i, across, height) {
  const [left, right] = [across(from), across(to)];
  const width = Math.max(right - left, 0.5);
  const fits = width > name.length * 6.4 + 8;
  return svg(
    "g",
    { class: "band", "data-role": role, "data-odd": i % 2 === 1 },
    svg("title", name),
    svg("rect", { x: left, y: 0, width, height }),
    svg("line", { x1: left, x2: left, y1: 0, y2: height }),
    fits && svg("text", { x: left + 5, y: height - 10 }, name),
  );
}
