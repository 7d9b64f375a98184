// What all panels share: a place for the answer, a word on trouble, and the query behind it.

import { el, put, refill, write } from "./dom.js";
import { Lane } from "./graphql.js";
import { graphiql } from "./queries.js";
import { labelOf } from "./status.js";

/** A panel's frame: `head`, `body`, and below them the query that was asked. */
export class Frame {
  #lane;

  constructor(root, title, api) {
    this.#lane = new Lane(api);
    this.title = el("h2", title);
    this.head = el("div.head", this.title);
    this.trouble = el("p.trouble", { role: "status" });
    this.body = el("div");
    this.text = el("pre", { tabindex: "0", "aria-label": "Query and variables" });
    this.link = el("a", "Open in GraphiQL");
    const query = el("details.query", el("summary", "The query behind this"), this.text, this.link);
    put(root, this.head, this.trouble, this.body, query);
  }

  /** Show which question the body answers. */
  behind(document, variables) {
    write(this.text, `${document}\n\n${JSON.stringify(variables, null, 2)}`);
    this.link.href = graphiql(document, variables);
  }

  /** Show the question and ask it; return the data, or null where a newer question took its place. */
  async ask(document, variables, how) {
    this.behind(document, variables);
    const answer = await this.#lane.ask(document, variables, how);
    if (answer) this.say(answer.errors);
    return answer && answer.data;
  }

  /** Say what went wrong, or nothing. An answer's `errors` name the fields that are missing. */
  say(problem) {
    const text = problem instanceof Error ? problem.message : (problem?.[0]?.message ?? "");
    write(this.trouble, text);
  }

  fill(...children) {
    refill(this.body, ...children);
  }
}

const CONTEXT_WORDS = 6;

/** Pieces of a difference of words, as insertions and deletions; of what stayed the same, only what stands around them. */
export function wording(words, field) {
  return words.map(({ kind, text }, i) => {
    const shown = field === "title" ? text : plainText(text);
    if (kind !== "SAME") return el(kind === "ADDED" ? "ins" : "del", {}, shown);
    return shortened(shown, i > 0, i < words.length - 1);
  });
}

function shortened(text, after, before) {
  const words = text.split(/(?<=\s)(?=\S)/);
  if (words.length <= 2 * CONTEXT_WORDS + 2) return text;
  const [head, tail] = [words.slice(0, after ? CONTEXT_WORDS : 0), words.slice(before ? -CONTEXT_WORDS : words.length)];
  return [head.join("").trimEnd(), "…", tail.join("")].filter(Boolean).join(" ");
}

/** The words of a text that may be HTML: tags are left out of what is shown, and nothing is ever parsed as markup. */
export function plainText(text) {
  return text.replace(/<\/?[a-z][^>]*>/gi, " ").replace(/\s+/g, " ");
}

const KEYS = new Set(["status", "type"]);
const NAMES = { votesUp: "votes for", votesDown: "votes against", commentCount: "comments", createdAt: "created" };

/** One field's difference, in a line. */
export function change({ field, before, after, words }) {
  return el(
    "p.change",
    el("span.field", nameOfField(field)),
    " ",
    words ? el("span.words", wording(words, field)) : plain(...(KEYS.has(field) ? [labelOf(before), labelOf(after)] : [before, after])),
  );
}

/** An item by its title; chosen, it opens. */
export function nameOfItem({ id, title }, page) {
  return el("button.title", { onclick: () => page.open(id) }, title ?? "(title not known)");
}

/** A field of the API in words: `commentCount` is "comments". */
export function nameOfField(field) {
  return NAMES[field] ?? field.replace(/_|(?=[A-Z])/g, " ").toLowerCase();
}

function plain(before, after) {
  return [
    before != null && [el("del", said(before)), " → "],
    after == null ? "not known" : el("ins", said(after)),
  ];
}

function said(value) {
  return typeof value === "object" ? JSON.stringify(value) : value;
}
