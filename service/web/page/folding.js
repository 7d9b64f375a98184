// Folds what of a long list is far from the eye to its height, so that ten thousand rows are scrolled like fifty.

import { el } from "./dom.js";

/** What is near: as far as two screens. */
const NEAR = { rootMargin: "200% 0px" };

/** Fold groups of rows that are far from the eye, and unfold those that come near; a group with the focus stays. */
export class Folding {
  #folded = new Map();
  #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (target.isConnected) this.#turn(target, isIntersecting);
  }, NEAR);

  add(group) {
    this.#observer.observe(group);
  }

  /** Forget all groups. */
  clear() {
    this.#observer.disconnect();
    this.#folded.clear();
  }

  #turn(group, near) {
    const rows = this.#folded.get(group);
    if (near && rows) {
      this.#folded.delete(group);
      group.replaceChildren(...rows);
    } else if (!near && !rows && !group.contains(document.activeElement)) {
      const cell = el("td", { "aria-hidden": "true" });
      cell.style.height = `${group.offsetHeight}px`;
      this.#folded.set(group, [...group.children]);
      group.replaceChildren(el("tr.folded", cell));
    }
  }
}
