// Loads looks of a part of the page with the part.

import { el } from "./dom.js";

/** Load a view's own looks, given where they lie; done once they are there. */
export function styled(href) {
  return new Promise((done) => document.head.append(el("link", { rel: "stylesheet", href, onload: done, onerror: done })));
}
