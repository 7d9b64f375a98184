// What was promised long ago, and waits.

import { nameOfItem } from "../panel.js";
import { date } from "../format.js";
import { nameOf, statusChip } from "../status.js";
import { Report, days } from "./report.js";

const AGES = [["P30D", "longer than 30 days"], ["P90D", "longer than 90 days"], ["P180D", "longer than half a year"], ["P365D", "longer than a year"]];

export default class Promises extends Report {
  title = "Promises";
  about = "What has stood on the roadmap for long, the oldest promise first.";
  windows = AGES;
  over = "P90D";
  document = `query Promises($asOf: AsOf, $productId: ID, $older: Duration!) {
  items(
    asOf: $asOf, productId: $productId, first: 200,
    filter: {statusRole: [ROADMAP], inStatusLongerThan: $older}, orderBy: {field: TIME_IN_STATUS, direction: DESC}
  ) {
    totalCount
    nodes { sleekplanId productId title status { key label role } statusSince timeInStatus estimated votes { net } owner { name } }
  }
}`;

  constructor(page) {
    super(page);
    this.build();
  }

  variables({ over }) {
    return { older: over };
  }

  answer({ items }) {
    const rows = items.nodes.map((item) => [
      { text: item.title, show: nameOfItem(item, this.page) }, { text: nameOf(item.status), show: statusChip(item.status) },
      item.statusSince ? date(item.statusSince) : null, days(item.timeInStatus) === null ? null : Math.floor(days(item.timeInStatus)),
      item.votes?.net ?? null, item.owner?.name ?? null, item.estimated,
    ]);
    const heads = ["Item", "Status", "Since", "Days", "Votes", "Owner", "Expected"];
    return { heads, rows, none: "No promise is that old." };
  }
}
