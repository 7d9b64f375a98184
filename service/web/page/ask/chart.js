// Draws curves over time by uPlot, in the page's colours, and again when the place or the colours change.

import Plot from "../assets/uplot.js";
import { el } from "../dom.js";
import { styled } from "../styled.js";
import { date, month } from "../format.js";

await Promise.all([styled(new URL("../assets/uplot-style.css", import.meta.url)), styled(new URL("ask.css", import.meta.url))]);

const DARK = matchMedia("(prefers-color-scheme: dark)");
/** Told apart by their lightness too, on paper and in the dark. */
const COLOURS = [
  ["#0a6a6b", "#6cc9c2"], ["#b4491d", "#f0a27c"], ["#4a5fb0", "#9fb0f2"], ["#8a6d00", "#e0c258"], ["#8d3f7e", "#dd9fd0"],
  ["#33781f", "#97d07f"], ["#6b5b4b", "#c9b8a5"], ["#1f7ba6", "#7fcbee"], ["#a02c45", "#f095a5"], ["#555", "#bbb"],
];

export const colour = (i) => COLOURS[i % COLOURS.length][Number(DARK.matches)];

/**
 * A chart of `series` (`{label, values, own, filled, dashed}`; `own` is told where values are stacked) at `times` in milliseconds; `label` says in words what it shows.
 *
 * With `ranks` the first place is at the top, and `ends` names the curves where they end.
 */
export function chart({ times, series, label, ranks = 0, ends = null, unit = "" }) {
  const place = el("div.plot", { role: "img", "aria-label": label });
  let plot = null;
  const draw = () => {
    plot?.destroy();
    const width = place.clientWidth;
    if (!width) return;
    plot = new Plot(options({ series, ranks, ends, unit, width }), [times.map((at) => at / 1000), ...series.map(({ values }) => values)], place);
  };
  const sized = new ResizeObserver(() => {
    if (!place.isConnected) return stop();
    if (plot?.width !== place.clientWidth) draw();
  });
  const stop = () => {
    sized.disconnect();
    DARK.removeEventListener("change", draw);
    plot?.destroy();
  };
  sized.observe(place);
  DARK.addEventListener("change", draw);
  return place;
}

function options({ series, ranks, ends, unit, width }) {
  const style = getComputedStyle(document.body);
  const [soft, line] = ["--soft", "--line"].map((name) => style.getPropertyValue(name));
  const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line }, font: "12px system-ui, sans-serif" };
  const room = Math.min(240, width / 3);
  return {
    width, height: Math.max(240, Math.min(440, width / 2)), tzDate: (ts) => Plot.tzDate(new Date(ts * 1000), "Etc/UTC"),
    padding: [12, ends ? 8 : 28, 0, 0], // half of the last month's name
    cursor: { points: { size: 6 }, focus: { prox: 24 } }, focus: { alpha: ranks ? 0.25 : 1 },
    legend: { live: !ranks, show: !ranks },
    scales: ranks ? { y: { dir: -1, range: [0.5, ranks + 0.5] } } : { y: { range: (_, low, high) => [Math.min(0, low), Math.max(high, 1) * 1.05] } },
    axes: [
      { ...axis, values: (_, at) => at.map((each) => month(each * 1000)) , space: 80 },
      { ...axis, size: 48, ...(ranks ? { splits: () => Array.from({ length: ranks }, (_, i) => i + 1) } : { values: (_, list) => list.map((each) => `${each}${unit}`) }) },
      ...(ends ? [{ ...axis, side: 1, scale: "y", size: room, grid: { show: false }, splits: () => ends.map(({ at }) => at), values: () => ends.map(({ name }) => cut(name, room / 6.4)) }] : []),
    ],
    series: [
      { label: "", value: (_, at) => (at == null ? "" : date(at * 1000)) },
      ...series.map(({ label, filled, dashed, own }, i) => ({
        label, stroke: colour(i), width: ranks ? 3 : 2, fill: filled ? colour(i) : undefined, dash: dashed ? [6, 4] : undefined,
        points: { show: ranks > 0, size: 7, fill: colour(i) }, spanGaps: false, value: (_, value, __, at) => (value == null ? "–" : `${own?.[at] ?? value}${unit}`),
      })),
    ],
  };
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text);
