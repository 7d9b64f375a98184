// How much stood in which status, week by week.

import { choice } from "../dom.js";
import { brief, date } from "../format.js";
import { nameOf } from "../status.js";
import { chart } from "./chart.js";
import { Report } from "./report.js";

const COUNTED = [["items", "items"], ["votes", "their votes"]];
/** What is done lies at the bottom and grows; what is open lies on top. */
const ORDER = ["DONE", "DECLINED", "ROADMAP", "OPEN"];

export default class Flow extends Report {
  title = "Flow";
  about = "How much stood in each status: what is done grows from below, what waits lies on top.";
  document = `query Flow($asOf: AsOf, $productId: ID, $window: Window!) {
  statusBacklog(asOf: $asOf, productId: $productId, bucket: WEEK, window: $window) { t byStatus { status { key label role } items votes } }
}`;

  constructor(page) {
    super(page);
    this.counted = choice("What is counted", COUNTED, () => this.set({ counted: this.counted.value }));
    this.build(this.counted);
  }

  variables({ over, ask }) {
    this.counted.value = ask.counted === "votes" ? "votes" : "items";
    return { window: { last: over } };
  }

  answer({ statusBacklog }) {
    const field = this.counted.value;
    const found = new Map(statusBacklog.flatMap(({ byStatus }) => byStatus.map(({ status }) => [status.key, status])));
    const statuses = [...found.values()].sort((a, b) => ORDER.indexOf(a.role) - ORDER.indexOf(b.role) || a.key.localeCompare(b.key));
    const counts = statuses.map(({ key }) => statusBacklog.map(({ byStatus }) => byStatus.find(({ status }) => status.key === key)?.[field] ?? 0));
    const times = statusBacklog.map(({ t }) => Date.parse(t));
    const stacked = counts.map((_, i) => times.map((_, at) => counts.slice(0, i + 1).reduce((sum, values) => sum + Math.max(0, values[at]), 0)));
    // The highest is drawn first, so that each lies before those that it carries.
    const series = statuses.map((status, i) => ({ label: brief(nameOf(status), 60), values: stacked[i], own: counts[i], filled: true })).reverse();
    const rows = times.map((at, i) => [date(at), ...counts.map((values) => values[i])]).reverse();
    const above = times.length > 1 && chart({ times, series, label: `${this.counted.selectedOptions[0].text} by status over ${times.length} weeks; the table below has them.` });
    return { heads: ["Week of", ...statuses.map((status) => brief(nameOf(status), 60))], rows, above };
  }
}
