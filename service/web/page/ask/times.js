// How long things take: from request to shipped, and until somebody answers.

import { choice } from "../dom.js";
import { chart } from "./chart.js";
import { Report, days } from "./report.js";

const SPANS = [["done", "from request to done"], ["roadmap", "from request to promise"], ["promise", "from promise to done"], ["response", "until the first response"]];
const STAGES = { done: ["OPEN", "DONE"], roadmap: ["OPEN", "ROADMAP"], promise: ["ROADMAP", "DONE"] };

const CYCLE = `query Times($asOf: AsOf, $productId: ID, $window: Window!, $from: StatusRole!, $to: StatusRole!) {
  stats: cycleTime(asOf: $asOf, productId: $productId, window: $window, from: $from, to: $to, groupBy: MONTH) { group n p50 p90 stillOpen }
}`;
const RESPONSE = `query FirstResponse($asOf: AsOf, $productId: ID, $window: Window!) {
  stats: firstResponse(asOf: $asOf, productId: $productId, window: $window, groupBy: MONTH) { group n p50 p90 stillOpen }
}`;

export default class Times extends Report {
  title = "Times";
  about = "By the month in which it began: the median, and what nine in ten took no longer than. Who waits still is counted beside.";

  constructor(page) {
    super(page);
    this.span = choice("From when to when", SPANS, () => this.set({ span: this.span.value }));
    this.build(this.span);
  }

  get document() {
    return this.span.value === "response" ? RESPONSE : CYCLE;
  }

  variables({ over, ask }) {
    this.span.value = SPANS.some(([value]) => value === ask.span) ? ask.span : "done";
    const [from, to] = STAGES[this.span.value] ?? [];
    return { window: { last: over }, ...(from && { from, to }) };
  }

  answer({ stats }) {
    const rows = stats.map(({ group, n, p50, p90, stillOpen }) => [group, n, days(p50), days(p90), stillOpen]);
    const months = stats.map(({ group }) => Date.parse(`${group}-01`));
    const above = stats.length > 1 && chart({
      times: months, unit: " d", label: "Days by month, the median and the ninth of ten; the table below has them.",
      series: [{ label: "median", values: rows.map((row) => row[2]) }, { label: "nine in ten", values: rows.map((row) => row[3]), dashed: true }],
    });
    return { heads: ["Month", "Finished", "Median, days", "Nine in ten, days", "Still waiting"], rows, above };
  }
}
