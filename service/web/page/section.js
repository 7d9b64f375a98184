// A part of a view that is closed at first, and asks its own question once it is opened.

import { el, write } from "./dom.js";
import { Frame } from "./panel.js";
import { number } from "./format.js";

export class Section {
  #shown = null;
  #asked = null;

  /** `question(shown)` gives `{document, variables, how}`, and `draw(data)` what to fill it with, where the item is there. */
  constructor(title, page, question, draw) {
    Object.assign(this, { page, question, draw });
    this.count = el("span.quiet");
    this.body = el("div");
    this.frame = new Frame(this.body, "", page.api);
    this.element = el("details.part", { ontoggle: () => this.look() }, el("summary", el("h3", title, " ", this.count)), this.body);
  }

  /** What is listed does not belong to what is shown next. */
  clear() {
    this.#asked = this.#shown = null;
    this.frame.drop();
    this.frame.fill();
  }

  /** Take what is shown now, and how many there are of what it would list. */
  show(shown, count) {
    this.#shown = shown;
    write(this.count, count == null ? "" : number(count));
    this.look();
  }

  /** Ask, where it is open and has not; `anew` asks in any case. */
  async look(anew = false) {
    if (!this.element.open || (this.#asked === this.#shown && !anew)) return;
    const asked = (this.#asked = this.#shown);
    const { document, variables, how } = this.question(asked);
    try {
      const data = await this.frame.ask(document, variables, how);
      if (data?.item) this.frame.fill(this.draw(data));
    } catch (error) {
      if (this.#asked === asked) this.#asked = null;
      this.page.failed(error);
    }
  }
}
