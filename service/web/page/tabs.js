// The tabs and the panels that they choose; where there is room the board stands beside the others.

import { el, put } from "./dom.js";

export const WIDE = matchMedia("(min-width: 66rem)");
/** What takes all the room there is. */
const WHOLE = new Set(["ask"]);

export class Tabs {
  /** `titles` are the views by name; `onchoose(name)` is told of a choice. */
  constructor(root, main, titles, onchoose) {
    this.main = main;
    this.names = Object.keys(titles);
    this.tabs = new Map(this.names.map((name) =>
      [name, el("button", { role: "tab", id: `tab-${name}`, "aria-controls": name, onclick: () => onchoose(name) }, titles[name])]));
    this.panels = new Map(this.names.map((id) => [id, el("section", { id, role: "tabpanel", "aria-labelledby": `tab-${id}`, tabindex: -1 })]));
    put(root, [...this.tabs.values()]);
    put(main, [...this.panels.values()]);
    root.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      const shown = this.names.filter((name) => this.tabs.get(name).offsetParent);
      const next = shown[(shown.indexOf(this.chosen) + by + shown.length) % shown.length];
      onchoose(next);
      this.tabs.get(next).focus();
    });
  }

  choose(chosen) {
    this.chosen = chosen;
    for (const name of this.names) {
      const is = name === chosen;
      Object.assign(this.tabs.get(name), { ariaSelected: is, tabIndex: is ? 0 : -1 });
      this.panels.get(name).hidden = !(is || (name === "board" && WIDE.matches && !WHOLE.has(chosen)));
    }
    this.main.toggleAttribute("data-whole", WHOLE.has(chosen));
  }
}
