// What rises: the items that gained most in a window, beside what they gained in the one before.

import { choice } from "../dom.js";
import { nameOfItem } from "../panel.js";
import { Report, gain } from "./report.js";

const METRICS = [["NET_VOTES", "votes"], ["COMMENTS", "comments"], ["SUBSCRIBERS", "subscribers"], ["ACTIVITY", "events of any kind"]];

export default class Rising extends Report {
  title = "Rising";
  about = "What gained most in the window, and what it gained in the one before.";
  windows = [["P7D", "7 days"], ["P30D", "30 days"], ["P91D", "a quarter"], ["P365D", "a year"]];
  over = "P30D";
  document = `query Rising($asOf: AsOf, $productId: ID, $window: Window!, $metric: Metric!) {
  movers(asOf: $asOf, productId: $productId, window: $window, metric: $metric, first: 30) {
    item { sleekplanId productId title status { key label role } } gained gainedPrevious rankNow rankBefore
  }
}`;

  constructor(page) {
    super(page);
    this.metric = choice("What is counted", METRICS, () => this.set({ metric: this.metric.value }));
    this.build(this.metric);
  }

  variables({ over, ask }) {
    const metric = METRICS.some(([value]) => value === ask.metric) ? ask.metric : "NET_VOTES";
    this.metric.value = metric;
    return { window: { last: over }, metric };
  }

  answer({ movers }) {
    const rows = movers.map(({ item, gained, gainedPrevious, rankNow, rankBefore }) => [
      { text: item.title, show: nameOfItem(item, this.page) }, gain(gained), gain(gainedPrevious), rankNow, rankBefore ?? null,
      rankBefore == null ? "new" : rankBefore === rankNow ? "" : { text: rankBefore - rankNow, show: rankBefore > rankNow ? `▲ ${rankBefore - rankNow}` : `▼ ${rankNow - rankBefore}` },
    ]);
    return { heads: ["Item", "Gained", "Before", "Rank", "Rank before", "Places"], rows };
  }
}
