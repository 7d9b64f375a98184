// How ranks changed month by month: each line is an item, the first place is at the top.

import { choice } from "../dom.js";
import { brief, month, number, titleOf } from "../format.js";
import { chart } from "./chart.js";
import { Report } from "./report.js";

const TOPS = [["5", "first 5"], ["10", "first 10"], ["20", "first 20"]];

export default class Ranks extends Report {
  title = "Ranks";
  about = "How the first places by net votes changed hands from month to month.";
  document = `query Ranks($asOf: AsOf, $productId: ID, $window: Window!, $top: Int!) {
  rankHistory(asOf: $asOf, productId: $productId, bucket: MONTH, window: $window, top: $top) {
    item { sleekplanId productId title } points { t rank value }
  }
}`;

  constructor(page) {
    super(page);
    this.top = choice("Places", TOPS, () => this.set({ top: this.top.value }));
    this.build(this.top);
  }

  variables({ over, ask }) {
    this.top.value = TOPS.some(([value]) => value === ask.top) ? ask.top : "10";
    return { window: { last: over }, top: Number(this.top.value) };
  }

  answer({ rankHistory }) {
    // An item has points from when it was first heard of.
    const times = [...new Set(rankHistory.flatMap(({ points }) => points.map(({ t }) => Date.parse(t))))].sort((a, b) => a - b);
    const ranks = rankHistory.map(({ points }) => {
      const known = new Map(points.map(({ t, rank }) => [Date.parse(t), rank]));
      return times.map((at) => known.get(at) ?? null);
    });
    const rows = rankHistory.map(({ item }, i) => [{ text: item.title ?? "(title not known)", show: titleOf(item) }, ...ranks[i]]);
    const top = Number(this.top.value);
    const ends = rankHistory.map(({ item }, i) => ({ at: ranks[i].at(-1), name: brief(titleOf(item), 60) })).filter(({ at }) => at != null && at <= top).sort((a, b) => a.at - b.at)
      // Of several in one place the next ones are empty: there the others have their names.
      .map(({ at, name }, i, all) => ({ at: at + i - all.findIndex((other) => other.at === at), name }));
    const above = times.length > 1 && chart({
      times, ranks: top, ends, label: `Ranks of ${number(rows.length)} items over ${number(times.length)} months; the table below has them.`,
      series: rankHistory.map(({ item }, i) => ({ label: brief(titleOf(item), 60), values: ranks[i].map((rank) => (rank !== null && rank <= top ? rank : null)) })),
    });
    return { heads: ["Item", ...times.map(month)], rows, above };
  }
}
