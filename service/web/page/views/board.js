// The board as of the moment shown: its items in the order of their votes, or those that were looked for.

import { choice, el, glide, refill, write } from "../dom.js";
import { Frame, nameOfItem } from "../panel.js";
import { Finder, itemsOf, narrows, sortOf } from "../finder.js";
import { part } from "../graphql.js";
import { End } from "../scroll.js";
import { asOf } from "../moment.js";
import { number, plural, signed, titleOf } from "../format.js";
import { DAY_MS } from "../axis.js";
import { redraw, sparkline } from "../spark.js";
import { statusChip } from "../status.js";

/** The board as of a moment. */
const BOARD = `query Board(
  $asOf: AsOf, $first: Int!, $after: String, $filter: ItemFilter, $orderBy: ItemOrderBy!, $window: Window,
  $since: DateTime!, $course: Boolean!, $ranked: Boolean!, $productId: ID
) {
  items(
    asOf: $asOf, first: $first, after: $after, filter: $filter, orderBy: $orderBy, window: $window, productId: $productId
  ) {
    totalCount
    pageInfo { endCursor hasNextPage }
    nodes {
      id sleekplanId productId title deleted
      rank @include(if: $ranked)
      status { key label role }
      votes { up down net }
      votesSince(time: $since) { net }
      voteSeries(bucket: WEEK, window: {last: "P91D"}) @include(if: $course) { cumulative }
    }
  }
}`;

/** How far back gains count: the name and the days. */
export const WINDOWS = { P7D: ["7 days", 7], P30D: ["30 days", 30], P90D: ["90 days", 90], P365D: ["a year", 365] };
const PAGE = 25;
/** So many rows follow the moment and what comes; those below are as they were read. */
const FRESH = 200;

export class Board {
  /** Rows by their item: those that follow the moment, and those below. */
  fresh = new Map();
  below = new Map();
  order = "";
  #of = "";
  #at = "";

  constructor(root, page) {
    this.page = page;
    this.frame = new Frame(root, "Board", page.api);
    this.count = el("p.count");
    const windows = Object.entries(WINDOWS).map(([value, [text]]) => [value, text]);
    this.window = choice("Gain over", windows, () => page.change({ window: this.window.value }));
    this.finder = new Finder(page.api, (find) => page.change({ find }), () => this.rows.querySelector(".title")?.focus());
    this.frame.head.append(this.count, el("label.choice", "gain over ", this.window));
    this.rows = el("tbody", { role: "rowgroup" });
    const heads = { rank: "Rank", name: "Item", state: "Status", votes: "Votes", course: "Quarter", gain: "Gain" };
    this.table = el(
      "table.board", { role: "table", "aria-label": "Items" },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, Object.entries(heads).map(([name, text]) => el("th", { role: "columnheader", scope: "col", class: name }, text)))),
      this.rows,
    );
    this.end = new End(() => this.#more().catch((error) => page.failed(error)));
    this.none = el("p.empty", { hidden: true }, "No item matches. ", el("button", { onclick: () => page.change({ find: {} }) }, "Show all"));
    this.frame.fill(this.finder.element, this.table, this.none, this.end.element);
  }

  /**
   * Show the board at a moment; true once it is drawn, false where a newer moment came before.
   *
   * While the moment is `moving` the courses are not asked for: they cost more than all the rest, and what asks
   * for them makes way.
   */
  async show(asked) {
    const { moment, window, item, find, moving = false } = (this.asked = asked);
    this.window.value = window;
    this.finder.show(find);
    const data = await this.frame.ask(BOARD, this.#variables(asked), { fixed: !moment.live, patient: !moving });
    if (!data) return false;
    this.rows.toggleAttribute("data-moving", moving);
    this.#begin(asked, data.items.pageInfo);
    this.#draw(data.items, item, find);
    return true;
  }

  /** Have the service plan a drag's question, which the first step would wait for. */
  warm(shown) {
    this.page.api.ask(BOARD, this.#variables({ ...shown, moving: true })).catch(() => {});
  }

  /** Learn what can be looked for. */
  learn() {
    return this.finder.learn(this.page.product);
  }

  #variables({ moment, window, find, at, moving = false }) {
    const listed = this.#list({ find }) !== this.#of ? 0 : moving ? this.#inSight() : this.fresh.size;
    return {
      asOf: asOf(moment), first: Math.min(Math.max(PAGE, listed), FRESH), productId: this.page.product, course: !moving,
      since: new Date(at - WINDOWS[window][1] * DAY_MS).toISOString(), ranked: narrows(find) || sortOf(find) !== "votes",
      ...itemsOf(find, window),
    };
  }

  /** How many rows there are down to the window's edge: who drags sees no others. */
  #inSight() {
    const below = [...this.rows.children].findIndex((row) => row.getBoundingClientRect().top > innerHeight);
    return below < 0 ? this.fresh.size : below;
  }

  /** What makes a list another one, whatever the moment. */
  #list({ find }) {
    return JSON.stringify([find, this.page.product]);
  }

  /** The same list of the same moment goes on below what is fresh; another begins again there. */
  #begin({ moment, window, find }, pageInfo) {
    const [of, at] = [this.#list({ find }), JSON.stringify([window, { ...moment, log: "" }])];
    if (of !== this.#of || at !== this.#at || !this.below.size) {
      this.further?.clear();
      this.next = pageInfo;
    }
    [this.#of, this.#at] = [of, at];
    this.further?.begin();
  }

  /** All rows, those below too. */
  #all() {
    return [...this.fresh.values(), ...this.below.values()];
  }

  mark(item) {
    for (const row of this.#all()) row.mark(row.reference === item);
  }

  /** Give the focus to an item, where it is among those shown. */
  focus(item) {
    this.#all().find(({ reference }) => reference === item)?.title.focus();
  }

  /** Have the rows that come next, below those shown. */
  async #more() {
    if (!this.next?.hasNextPage || this.asked.moving) return;
    const { Further } = await part(import("../further.js"));
    this.further ??= new Further(this, FRESH);
    this.further.load();
  }

  /** Ask for another part of what was asked for. */
  ask(lane, asked, part) {
    return lane.ask(BOARD, { ...this.#variables(asked), ...part });
  }

  /** A row for an item. */
  row(item, open) {
    const row = new Row(item, this.page);
    row.mark(row.reference === open);
    return row;
  }

  #draw({ totalCount, nodes }, open, find) {
    const narrowed = narrows(find);
    write(this.count, totalCount ? `${plural(totalCount, "item")}${narrowed ? " found" : ""}` : narrowed ? "" : "nothing on it");
    this.none.hidden = totalCount > 0 || !narrowed;
    let place = 0;
    nodes.forEach((item, i) => {
      if (item.votes?.net !== nodes[i - 1]?.votes?.net) place = i + 1;
      let row = this.fresh.get(item.id);
      if (!row) this.fresh.set(item.id, (row = this.row(item)));
      row.show(item, "rank" in item ? item.rank : place || i + 1);
      row.mark(row.reference === open);
      this.below.get(item.id)?.element.remove();
      this.below.delete(item.id);
    });
    this.end.again();
    const order = nodes.map(({ id }) => id).join();
    if (order === this.order) return;
    this.order = order;
    const shown = new Set(nodes.map(({ id }) => id));
    glide(this.rows, () => {
      for (const [id, row] of this.fresh) {
        if (shown.has(id)) continue;
        row.element.remove();
        this.fresh.delete(id);
      }
      // Only rows out of place are moved: a row that moves would lose its focus.
      nodes.forEach(({ id }, i) => {
        const { element } = this.fresh.get(id);
        if (this.rows.children[i] !== element) this.rows.insertBefore(element, this.rows.children[i] ?? null);
      });
    });
  }
}

class Row {
  #status = "";

  constructor(item, page) {
    this.reference = page.reference(item);
    const cell = (name, ...children) => el("td", { role: "cell", class: name }, ...children);
    this.rank = cell("rank");
    this.title = nameOfItem(item, page);
    this.status = cell("state");
    this.votes = cell("votes");
    this.spark = sparkline();
    this.gain = cell("gain");
    this.element = el(
      "tr", { role: "row", "data-id": item.id },
      this.rank, cell("name", this.title), this.status, this.votes, cell("course", this.spark), this.gain,
    );
  }

  show(item, place) {
    Object.assign(this, { place, net: item.votes?.net });
    write(this.rank, place ? String(place) : "–");
    write(this.title, titleOf(item));
    this.element.toggleAttribute("data-deleted", item.deleted);
    const status = JSON.stringify([item.status, item.deleted]);
    if (status !== this.#status) refill(this.status, item.deleted ? el("span.status", "deleted") : statusChip(item.status));
    this.#status = status;
    const { up, down, net } = item.votes ?? {};
    write(this.votes, number(net));
    this.votes.title = `${number(up)} for, ${number(down)} against`;
    if (item.voteSeries) redraw(this.spark, item.voteSeries.map(({ cumulative }) => cumulative));
    const gain = item.votesSince?.net;
    write(this.gain, gain == null ? "–" : signed(gain));
    this.gain.dataset.way = Math.sign(gain ?? 0);
  }

  mark(open) {
    this.element.toggleAttribute("data-open", open);
    this.title.ariaCurrent = open || null;
  }
}
