// The board as of the moment shown: its items in the order of their votes.

import { choice, el, glide, refill, write } from "./dom.js";
import { Frame, nameOfItem } from "./panel.js";
import { BOARD } from "./queries.js";
import { asOf } from "./moment.js";
import { number, plural, signed } from "./format.js";
import { DAY_MS } from "./axis.js";
import { redraw, sparkline } from "./charts.js";
import { statusChip } from "./status.js";

/** How far back gains count: the name and the days. */
export const WINDOWS = { P7D: ["7 days", 7], P30D: ["30 days", 30], P90D: ["90 days", 90], P365D: ["a year", 365] };
const PAGE = 25;
const MOST = 200;

export class Board {
  #rows = new Map();
  #first = PAGE;
  #order = "";

  constructor(root, page) {
    this.page = page;
    this.frame = new Frame(root, "Board", page.api);
    this.count = el("p.count");
    const windows = Object.entries(WINDOWS).map(([value, [text]]) => [value, text]);
    this.window = choice("Gain over", windows, () => page.change({ window: this.window.value }));
    this.frame.head.append(this.count, el("label.choice", "gain over ", this.window));
    this.rows = el("tbody", { role: "rowgroup" });
    const heads = { rank: "Rank", name: "Item", state: "Status", votes: "Votes", course: "Quarter", gain: "Gain" };
    this.more = el("button.quiet.more", { onclick: () => this.#more() }, "Show more");
    this.frame.fill(
      el(
        "table.board", { role: "table", "aria-label": "Items by votes" },
        el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, Object.entries(heads).map(([name, text]) => el("th", { role: "columnheader", scope: "col", class: name }, text)))),
        this.rows,
      ),
      this.more,
    );
  }

  /**
   * Show the board at a moment; true once it is drawn, false where a newer moment came before.
   *
   * While the moment is `moving` the courses are not asked for: they cost more than all the rest, and what asks
   * for them makes way.
   */
  async show(asked) {
    const { moment, window, item, moving = false } = (this.asked = asked);
    this.window.value = window;
    const data = await this.frame.ask(BOARD, this.#variables(asked), { fixed: !moment.live, patient: !moving });
    if (!data) return false;
    this.rows.toggleAttribute("data-moving", moving);
    this.#draw(data.items, item);
    return true;
  }

  /** Have the service plan a drag's question, which the first step would wait for. */
  warm(shown) {
    this.page.api.ask(BOARD, this.#variables({ ...shown, moving: true })).catch(() => {});
  }

  #variables({ moment, window, at, moving = false }) {
    return {
      asOf: asOf(moment), first: this.#first, productId: this.page.product, course: !moving,
      since: new Date(at - WINDOWS[window][1] * DAY_MS).toISOString(),
    };
  }

  mark(item) {
    for (const [id, row] of this.#rows) row.mark(id === item);
  }

  #more() {
    this.#first = Math.min(this.#first + PAGE, MOST);
    this.show(this.asked);
  }

  #draw({ totalCount, nodes }, open) {
    write(this.count, totalCount ? plural(totalCount, "item") : "nothing on it");
    this.more.hidden = nodes.length >= totalCount || this.#first >= MOST;
    let place = 0;
    nodes.forEach((item, i) => {
      if (item.votes?.net !== nodes[i - 1]?.votes?.net) place = i + 1;
      let row = this.#rows.get(item.id);
      if (!row) this.#rows.set(item.id, (row = new Row(item.id, this.page)));
      row.show(item, place || i + 1);
      row.mark(item.id === open);
    });
    const order = nodes.map(({ id }) => id).join();
    if (order === this.#order) return;
    this.#order = order;
    const shown = new Set(nodes.map(({ id }) => id));
    glide(this.rows, () => {
      for (const [id, row] of this.#rows) {
        if (shown.has(id)) continue;
        row.element.remove();
        this.#rows.delete(id);
      }
      // Only rows out of place are moved: a row that moves would lose its focus.
      nodes.forEach(({ id }, i) => {
        const { element } = this.#rows.get(id);
        if (this.rows.children[i] !== element) this.rows.insertBefore(element, this.rows.children[i] ?? null);
      });
    });
  }
}

class Row {
  #status = "";

  constructor(id, page) {
    const cell = (name, ...children) => el("td", { role: "cell", class: name }, ...children);
    this.rank = cell("rank");
    this.title = nameOfItem({ id }, page);
    this.status = cell("state");
    this.votes = cell("votes");
    this.spark = sparkline();
    this.gain = cell("gain");
    this.element = el(
      "tr", { role: "row", "data-id": id },
      this.rank, cell("name", this.title), this.status, this.votes, cell("course", this.spark), this.gain,
    );
  }

  show(item, place) {
    write(this.rank, String(place));
    write(this.title, item.title ?? "(title not known)");
    const status = JSON.stringify(item.status);
    if (status !== this.#status) refill(this.status, statusChip(item.status));
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
