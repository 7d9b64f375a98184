// What is known of the log as a whole: where it begins and ends on both clocks, how much happened when, what stands out.

import { EVENT } from "./events.js";

const MARK_PAGES = 8;
const NEWS = 60;

/** Events a day, the shape of the time bar; the products to choose from; where the log ends, and what came last. */
const EXTENT = `query Extent($productId: ID, $last: Int!) {
  eventSeries(bucket: DAY, productId: $productId) { t events lastPosition }
  products { sleekplanId }
  latest: events(productId: $productId, first: 1, orderBy: {field: OCCURRED_AT, direction: DESC}) { nodes { occurredAt } }
  news: events(productId: $productId, last: $last, filter: {origins: [WEBHOOK, IMPORT, RECONCILE]}) {
    nodes {${EVENT}
    }
  }
}`;

/** The marks on the time bar. */
const MARKS = `query Marks($productId: ID, $after: String) {
  events(productId: $productId, filter: {types: [ITEM_STATUS_CHANGED, CHANGELOG_CREATED]}, first: 500, after: $after) {
    nodes { position type occurredAt summary }
    pageInfo { hasNextPage endCursor }
  }
}`;

/** The bounds of a log: `from`, `latest` and `to` in milliseconds, `head` a position. */
export class Extent {
  constructor(days, latest, head) {
    this.days = days;
    this.from = Date.parse(days[0]?.t) || Date.now();
    this.latest = latest;
    this.head = head;
  }

  /** Now is what the reader's clock says; a sender's clock may be ahead of it. */
  get to() {
    return Math.max(Date.now(), this.latest);
  }

  /** An event has come. */
  grow({ position, occurredAt }) {
    this.head = position;
    this.latest = Math.max(this.latest, Date.parse(occurredAt));
  }
}

/** Return `{extent, products, news}`; the news are the newest events, oldest first. */
export async function readExtent(api, productId) {
  const { data, position } = await api.ask(EXTENT, { productId, last: NEWS });
  const latest = Date.parse(data.latest.nodes[0]?.occurredAt) || 0;
  return { extent: new Extent(data.eventSeries, latest, position), products: data.products, news: data.news.nodes };
}

/** Give the marks to `told` as they come; each time all so far. */
export async function readMarks(api, productId, told) {
  let [marks, after, more] = [[], null, true];
  for (let page = 0; more && page < MARK_PAGES; page++) {
    const answer = await api.ask(MARKS, { productId, after }).catch(() => null);
    const { nodes, pageInfo } = answer?.data.events ?? { nodes: [], pageInfo: {} };
    marks = [...marks, ...nodes];
    [after, more] = [pageInfo.endCursor, pageInfo.hasNextPage];
    if (!told(marks)) return;
  }
}
