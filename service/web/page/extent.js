// What is known of the log as a whole: where it begins and ends on both clocks, how much happened when, what stands out.

import { DAY_MS } from "./axis.js";
import { EVENT } from "./events.js";
import { now } from "./graphql.js";

const NEWS = 60;

/** Events a day, the shape of the time bar; the products to choose from; where the log ends, and what came last. */
const EXTENT = `query Extent($productId: ID, $last: Int!) {
  eventSeries(bucket: DAY, productId: $productId) { t events lastPosition }
  products { sleekplanId name }
  latest: events(productId: $productId, first: 1, orderBy: {field: OCCURRED_AT, direction: DESC}) { nodes { occurredAt } }
  news: events(productId: $productId, last: $last, filter: {origins: [WEBHOOK, IMPORT, RECONCILE]}) {
    nodes {${EVENT}
    }
  }
}`;

/**
 * The bounds of a log: `latest` and `to` in milliseconds, `head` a position; `days` with what happened on each, and `marks`,
 * the events that stand out.
 */
export class Extent {
  marks = [];

  constructor(days, latest, head, cursor) {
    this.days = days.map(({ t, ...day }) => ({ ...day, at: Date.parse(t) }));
    Object.assign(this, { latest, head, cursor });
  }

  /** The first day. */
  get from() {
    return this.days[0]?.at ?? now() - DAY_MS;
  }

  /** The first day but for what lies far before the rest: hardly an event, then silence for a quarter of all the time. */
  get main() {
    const all = this.days.reduce((sum, { events }) => sum + events, 0);
    let [main, before] = [this.from, 0];
    this.days.forEach(({ at, events }, i) => {
      before += events;
      const next = this.days[i + 1]?.at;
      if (next - at > (this.to - this.from) / 4 && before <= Math.max(1, all / 50) && before * 4 < all) main = next;
    });
    return main;
  }

  /** Now is what the clock on the wall says; a sender's clock may be ahead of it. */
  get to() {
    return Math.max(now(), this.latest);
  }

  /** When the newest had happened of what was known at a position, to the day. */
  happenedBy(position) {
    return this.days[this.days.findLastIndex(({ lastPosition }) => lastPosition < position) + 1]?.at ?? this.latest;
  }

  /** An event has come, of now or of long ago. */
  grow(event) {
    const at = Date.parse(event.occurredAt);
    this.head = event.position;
    this.latest = Math.max(this.latest, at);
    if (event.type in MARKED) this.marks.push(event);
    const day = Math.floor(at / DAY_MS) * DAY_MS;
    const i = this.days.findLastIndex((each) => each.at <= day);
    const known = this.days[i]?.at === day;
    const grown = { at: day, events: (known ? this.days[i].events : 0) + 1, lastPosition: event.position };
    this.days.splice(known ? i : i + 1, Number(known), grown);
  }
}

/** What stands out on the time bar, by its type. */
export const MARKED = { CHANGELOG_CREATED: true, ITEM_STATUS_CHANGED: true };

/** Return `{extent, products, news}`; the news are the newest events, oldest first. */
export async function readExtent(api, productId) {
  const { data, position, cursor } = await api.ask(EXTENT, { productId, last: NEWS });
  const latest = Date.parse(data.latest.nodes[0]?.occurredAt) || 0;
  return { extent: new Extent(data.eventSeries, latest, position, cursor), products: data.products, news: data.news.nodes };
}
