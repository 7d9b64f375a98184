// Folds what of a long list is far from the eye to its height, so that ten thousand rows are scrolled like fifty.

/** What is near: as far as two screens. */
const NEAR = { rootMargin: "200% 0px" };

/** Fold groups of rows that are far from the eye, and unfold those that come near; a group with the focus stays. */
export class Folding {
  #folded = new Map();
  #observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting, boundingClientRect: { height } } of entries) this.#turn(target, isIntersecting, height);
  }, NEAR);

  add(group) {
    this.#observer.observe(group);
  }

  /** Forget all groups. */
  clear() {
    this.#observer.disconnect();
    this.#folded.clear();
  }

  /** Heights are those that were observed: to ask for one after a group was folded lays all of it out. A hidden one has none. */
  #turn(group, near, height) {
    const rows = this.#folded.get(group);
    if (near && rows) {
      this.#folded.delete(group);
      group.style.height = null;
      group.replaceChildren(...rows);
    } else if (!near && height && !rows && group.isConnected && !group.contains(document.activeElement)) {
      this.#folded.set(group, [...group.children]);
      group.style.height = `${height}px`;
      group.replaceChildren();
    }
  }
}
