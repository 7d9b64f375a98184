// What was promised long ago, and waits.

import { nameOfItem } from "../panel.js";
import { date } from "../format.js";
import { nameOf, statusChip } from "../status.js";
import { Lane } from "../graphql.js";
import { asOf } from "../moment.js";
import { Report, days, gain } from "./report.js";

/** The statuses that are promises, on the board of the moment. */
const STATUSES = `query Statuses($asOf: AsOf, $productId: ID) {
  statusBacklog(asOf: $asOf, productId: $productId, bucket: DAY, window: {last: "P1D"}) { byStatus { status { key role } } }
}`;

const AGES = [["P30D", "longer than 30 days"], ["P90D", "longer than 90 days"], ["P180D", "longer than half a year"], ["P365D", "longer than a year"]];

/** The promises, oldest first. */
const PROMISES = `query Promises($asOf: AsOf, $productId: ID, $older: Duration!) {
  items(
    asOf: $asOf, productId: $productId, first: 200,
    filter: {statusRole: [ROADMAP], inStatusLongerThan: $older}, orderBy: {field: TIME_IN_STATUS, direction: DESC}
  ) {
    totalCount
    nodes { sleekplanId productId title status { key label role } statusSince timeInStatus estimated votes { net } owner { name } }
  }
}`;

export default class Promises extends Report {
  title = "Promises";
  about = "What has stood on the roadmap for long, the oldest promise first.";
  windows = AGES;
  over = "P90D";
  #names = new Map();
  #statuses;

  constructor(page) {
    super(page);
    this.#statuses = new Lane(page.api);
    this.build();
  }

  /** What was gained since an item entered a status is asked for by the status's key, so of each status under a name of its own. */
  async show(shown) {
    const { moment } = shown;
    const variables = { asOf: asOf(moment), productId: this.page.product };
    const answer = await this.#statuses.ask(STATUSES, variables, { fixed: !moment.live }).catch((error) => {
      this.frame.say(error);
      throw error;
    });
    if (!answer) return;
    for (const { status } of answer.data.statusBacklog.flatMap(({ byStatus }) => byStatus))
      if (status?.role === "ROADMAP" && !this.#names.has(status.key)) this.#names.set(status.key, `gained${this.#names.size}`);
    const gains = [...this.#names].map(([key, name]) => `${name}: votesSince(statusEntered: ${JSON.stringify(key)}) { net }`);
    this.document = PROMISES.replace("votes { net }", ["votes { net }", ...gains].join(" "));
    await super.show(shown);
  }

  variables({ over }) {
    return { older: over };
  }

  answer({ items }) {
    const rows = items.nodes.map((item) => [
      { text: item.title, show: nameOfItem(item, this.page) }, { text: nameOf(item.status), show: statusChip(item.status) },
      item.statusSince ? date(item.statusSince) : null, days(item.timeInStatus) === null ? null : Math.floor(days(item.timeInStatus)),
      item.votes?.net ?? null, gain(item[this.#names.get(item.status.key)]?.net), item.owner?.name ?? null, item.estimated,
    ]);
    const heads = ["Item", "Status", "Since", "Days", "Votes", "Gained since", "Owner", "Expected"];
    return { heads, rows, total: items.totalCount, none: "No promise is that old." };
  }
}
