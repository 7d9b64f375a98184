// How content people are, week by week.

import { date } from "../format.js";
import { chart } from "./chart.js";
import { Report } from "./report.js";

export default class Satisfaction extends Report {
  title = "Satisfaction";
  about = "The average answer of each week, and how many answered; an answer that was replaced counts where it was given.";
  document = `query Satisfaction($asOf: AsOf, $productId: ID, $window: Window!) {
  satisfactionSeries(asOf: $asOf, productId: $productId, bucket: WEEK, window: $window) { t n avg replacedAnswers }
}`;

  constructor(page) {
    super(page);
    this.build();
  }

  variables({ over }) {
    return { window: { last: over } };
  }

  answer({ satisfactionSeries: points }) {
    const round = (value) => (value == null ? null : Math.round(value * 100) / 100);
    const rows = points.map(({ t, n, avg, replacedAnswers }) => [date(t), round(avg), n, replacedAnswers]);
    const above = points.some(({ n }) => n) && chart({
      times: points.map(({ t }) => Date.parse(t)), label: "The average answer by week; the table below has them.",
      series: [{ label: "average", values: rows.map((row) => row[1]) }],
    });
    return { heads: ["Week of", "Average", "Answers", "Replaced later"], rows: above ? rows.reverse() : [], above, none: "Nobody answered in this window." };
  }
}
