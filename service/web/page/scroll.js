// A list that goes on as one scrolls: more is loaded near its end.

import { el } from "./dom.js";

/** An element for a list's end, which calls `more` while it is near the eye; `again` has it look once more. */
export class End {
  constructor(more) {
    this.element = el("div.end");
    // A busy page is told of several frames at once.
    this.observer = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && more(), { rootMargin: "150px 0px" });
    this.again();
  }

  again() {
    this.observer.unobserve(this.element);
    this.observer.observe(this.element);
  }
}
