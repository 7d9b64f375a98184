// The rows of a board below those that follow the moment: loaded as one scrolls, and folded far from the eye.

import { el } from "./dom.js";
import { Folding } from "./folding.js";
import { Lane } from "./graphql.js";

const MORE = 100;
/** So many of them are drawn in a frame, and folded as one. */
const GROUP = 25;

export class Further {
  #loading = null;
  #folding = new Folding();

  /** `most` rows follow the moment. */
  constructor(board, most) {
    Object.assign(this, { board, most });
    this.lane = new Lane(board.page.api);
  }

  /** What was asked for so far is answered anew. */
  begin() {
    this.#loading = null;
  }

  /** Forget all rows. */
  clear() {
    this.#folding.clear();
    for (const group of [...this.board.table.tBodies].slice(1)) group.remove();
    this.board.below.clear();
  }

  /** Load the rows that come next, below those shown. */
  async load() {
    const { board, board: { asked } } = this;
    if (this.#loading === asked) return;
    this.#loading = asked;
    const variables = { first: MORE, after: board.next.endCursor };
    const answer = await board.ask(this.lane, asked, variables).catch((error) => this.#missed(asked, error));
    if (!answer) return;
    const { nodes, pageInfo } = answer.data.items;
    for (let at = 0; at < nodes.length; at += GROUP) {
      if (at) await new Promise(requestAnimationFrame);
      // A newer question asks for the rest anew.
      if (board.asked !== asked) return;
      this.#add(nodes.slice(at, at + GROUP), asked.item);
    }
    this.#loading = null;
    board.next = pageInfo;
    board.end.again();
  }

  /** Say so, unless something newer is asked, which has its own rows to come; they are asked for again once the board is. */
  #missed(asked, error) {
    if (this.board.asked !== asked) return;
    this.#loading = null;
    this.board.frame.say(error);
    this.board.page.failed(error);
  }

  /** List what is not listed yet at the end. */
  #add(items, open) {
    const { fresh, below, table } = this.board;
    const made = [];
    const follows = fresh.size < this.most;
    const rows = follows ? fresh : below;
    let last = below.size ? [...below.values()].at(-1) : fresh.get(this.board.rows.lastElementChild?.dataset.id);
    for (const item of items) {
      if (fresh.has(item.id) || below.has(item.id)) continue;
      const row = this.board.row(item, open);
      rows.set(item.id, row);
      // Of equal votes the first have the rank.
      row.show(item, "rank" in item ? item.rank : last && item.votes?.net === last.net ? last.place : fresh.size + below.size);
      made.push((last = row).element);
    }
    this.board.order = "";
    if (follows) return this.board.rows.append(...made);
    this.#folding.add(table.appendChild(el("tbody", { role: "rowgroup" }, made)));
  }
}
