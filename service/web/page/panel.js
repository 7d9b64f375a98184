// What all panels share: a place for the answer, a word on trouble, and the query behind it.

import { el, put, refill, write } from "./dom.js";
import { Lane, Unauthenticated } from "./graphql.js";
import { graphiql } from "./address.js";
import { titleOf } from "./format.js";

/** A panel's frame: `head`, `body`, and below them the query that was asked. */
export class Frame {
  #lane;
  #asked = 0;

  constructor(root, title, api) {
    this.#lane = new Lane(api);
    this.title = el("h2", title);
    this.head = el("div.head", title && this.title);
    this.trouble = el("p.trouble", { role: "status" });
    this.body = el("div");
    this.text = el("pre", { tabindex: "0", "aria-label": "Query and variables" });
    this.link = el("a", "Open in GraphiQL");
    const query = el("details.query", el("summary", "The query behind this"), this.text, this.link);
    put(root, this.head, this.trouble, this.body, query);
  }

  /** Ask another API from now on. */
  turnTo(api) {
    this.drop();
    this.#lane = new Lane(api);
  }

  /** The body is to be about something else: no answer, and no trouble, of what was asked before comes over that. */
  drop() {
    this.#lane.drop();
    this.say();
  }

  /** Show which question the body answers. */
  behind(document, variables) {
    write(this.text, `${document}\n\n${JSON.stringify(variables, null, 2)}`);
    this.link.href = graphiql(document, variables);
  }

  /** Show the question and ask it; return the data, or null where a newer question took its place. What goes wrong is said, and thrown. */
  async ask(document, variables, how) {
    this.behind(document, variables);
    this.#asked += 1;
    this.body.ariaBusy = "true";
    try {
      const answer = await this.#lane.ask(document, variables, how);
      if (answer) this.say(answer.errors);
      return answer && answer.data;
    } catch (error) {
      this.say(error);
      throw error;
    } finally {
      this.#asked -= 1;
      if (!this.#asked) this.body.ariaBusy = null;
    }
  }

  /** Say what went wrong, or nothing. An answer's `errors` name the fields that are missing; for a token there is a form. */
  say(problem) {
    const said = problem instanceof Error ? problem : problem?.[0];
    write(this.trouble, said && !(said instanceof Unauthenticated) ? said.message : "");
  }

  fill(...children) {
    refill(this.body, ...children);
  }
}

/** A link to an item, by its title or another text; chosen, it opens here, unless another tab is asked for. */
export function nameOfItem(item, page, text = titleOf(item)) {
  const to = page.reference(item);
  // The moment may have moved on since it was made.
  const aim = () => (link.href = page.link(to));
  const onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    page.open(to, link);
  };
  const link = el("a.title", { href: page.link(to), onclick, onpointerdown: aim, onfocus: aim }, text);
  return link;
}
