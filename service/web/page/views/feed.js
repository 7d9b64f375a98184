// What happens now: every event as it is projected. It never shows the past as if it were now.

import { el, write } from "../dom.js";
import { Frame } from "../panel.js";
import { LIVE_EVENTS } from "../connection.js";
import { number, plural } from "../format.js";
import { FETCHED, KIND_NAMES, entry, kindOf } from "../events.js";

const SHOWN = 200;

export default class Feed {
  #waiting = [];
  #missed = 0;
  #paused = false;

  constructor(root, page) {
    this.page = page;
    this.hidden = new Set([FETCHED]);
    this.frame = new Frame(root, "Feed", page.api);
    this.pause = el("button", { "aria-pressed": "false", onclick: () => (this.#paused ? this.resume() : this.#stop()) }, "Pause");
    this.note = el("p.quiet.note", { role: "status" });
    this.list = el("ol.events");
    this.filters = el(
      "fieldset.filters", el("legend.unseen", "Kinds of events shown"),
      KIND_NAMES.map((kind) =>
        el("label", el("input", { type: "checkbox", checked: kind !== FETCHED, onchange: ({ target }) => this.#filter(kind, target.checked) }), kind)),
    );
    this.frame.head.append(this.pause);
    const log = { role: "log", "aria-live": "off", "aria-label": "Events as they come, newest first" };
    this.frame.fill(this.note, this.filters, el("div", log, this.list));
    this.begin(page.news);
  }

  /** Begin with the newest events, oldest first. */
  begin(events) {
    this.list.replaceChildren();
    [this.#waiting, this.#missed] = [[], 0];
    this.#tell();
    for (const event of events) this.#add(event);
    this.#at(this.page.extent.head);
  }

  /** Where the subscription stands, for the query that is shown. */
  #at(position) {
    this.frame.behind(LIVE_EVENTS, { after: position, productId: this.page.product });
  }

  take(event) {
    this.#at(event.position);
    // A back-fill tells thousands of old things at once.
    if (kindOf(event) === FETCHED && this.hidden.has(FETCHED)) return;
    if (!this.#paused) return this.#add(event);
    this.#waiting.push(event);
    if (this.#waiting.length > SHOWN) {
      this.#waiting.shift();
      this.#missed++;
    }
    this.#tell();
  }

  say(text) {
    write(this.note, text);
  }

  #stop() {
    this.#paused = true;
    this.#tell();
  }

  resume() {
    this.#paused = false;
    const waited = this.#waiting;
    if (this.#missed) this.say(`${plural(this.#missed + waited.length, "event")} came meanwhile; the newest ${number(SHOWN)} are shown.`);
    [this.#waiting, this.#missed] = [[], 0];
    for (const event of waited) this.#add(event);
    this.#tell();
  }

  #tell() {
    const count = this.#waiting.length + this.#missed;
    this.pause.ariaPressed = this.#paused;
    write(this.pause, !this.#paused ? "Pause" : count ? `Resume, ${number(count)} new` : "Resume");
  }

  #add(event) {
    const line = entry(event, this.page);
    line.hidden = this.hidden.has(kindOf(event));
    this.list.prepend(line);
    if (this.list.childElementCount > SHOWN) this.list.lastElementChild.remove();
  }

  #filter(kind, shown) {
    if (shown) this.hidden.delete(kind);
    else this.hidden.add(kind);
    for (const line of this.list.children) line.hidden = this.hidden.has(line.dataset.kind);
  }
}
