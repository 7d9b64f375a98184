// The rules that tell others what happens, and how far each is. Whom a board tells is for those to know who run the service.

import { el } from "../dom.js";
import { Frame } from "../panel.js";
import { reaching } from "../scopes.js";
import { dateTime, number, plural } from "../format.js";

/** How far each rule has told what it tells; asked with the scope `admin`, which the page has from nobody else. */
const REACTIONS = `query Reactions {
  reactions { name state position behind sent sentAt skipped attempts failingSince problem }
}`;

const STATES = { RUNNING: "tells what happens", PAUSED: "paused", STOPPED: "stopped", ABSENT: "in the file no more" };

export class Reactions {
  #barred = false;

  constructor(page) {
    this.element = el("section.part", { hidden: true, "aria-label": "Reactions" });
    this.frame = new Frame(this.element, "Reactions", reaching(page.api, "read+admin"));
  }

  /** Ask again; of who may not know, no more is asked. */
  async show() {
    if (this.#barred) return;
    try {
      const data = await this.frame.ask(REACTIONS, {});
      if (!data) return;
      this.element.hidden = !data.reactions.length;
      this.frame.fill(el("ul.projections", data.reactions.map(row)));
    } catch (error) {
      this.#barred = error.cause?.extensions?.code === "MISSING_SCOPE";
      if (this.#barred) this.frame.say();
    }
  }
}

function row({ name, state, position, behind, sent, sentAt, skipped, attempts, failingSince, problem }) {
  const failed = attempts > 0 && `not taken ${plural(attempts, "time")} since ${dateTime(failingSince)} UTC`;
  return el(
    "li", { "data-reaction": name },
    el("strong", name), el(state === "STOPPED" ? "span.trouble" : "span", STATES[state]),
    el("span.quiet", `${number(sent)} delivered${sentAt ? `, last on ${dateTime(sentAt)} UTC` : ""}`),
    behind > 0 && el("span.quiet", `${plural(behind, "event")} behind`),
    failed && el("span.trouble", failed),
    skipped > 0 && el("span.trouble", `${number(skipped)} skipped`),
    problem && el("span.trouble", problem),
    el("span.figure", { title: "Told up to this position" }, number(position)),
  );
}
