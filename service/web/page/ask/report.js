// What all questions share: a window, an answer as of the moment, the numbers in a table, and those as a file.

import { choice, el } from "../dom.js";
import { Frame } from "../panel.js";
import { asOf } from "../moment.js";
import { number, signed } from "../format.js";

export const MONTHS = [["P30D", "30 days"], ["P91D", "a quarter"], ["P183D", "half a year"], ["P365D", "a year"], ["P730D", "two years"]];

/**
 * Of a subclass: `title`, `about`, `document`, `windows` (empty: none) with the first `over`, `variables(shown)` beside those that all
 * questions have, and `answer(data, shown)`, which gives `{heads, rows, above}`: cells are texts, numbers, or `{text, show}` with an
 * element to be shown for the text.
 */
export class Report {
  windows = MONTHS;
  over = "P365D";

  constructor(page) {
    this.page = page;
    this.root = el("div.report");
  }

  /** Put together what a subclass has said of itself. */
  build(...controls) {
    this.frame = new Frame(this.root, this.title, this.page.api);
    this.window = this.windows.length > 0 && choice("Window", this.windows, () => this.set({ over: this.window.value }));
    this.file = el("button.quiet", { onclick: () => this.#save(), disabled: true }, "Save as CSV");
    this.frame.head.append(...[this.window, ...controls, this.file].filter(Boolean));
    this.frame.title.after(el("p.quiet.about", this.about));
  }

  /** Take another value of what the address says of a question. */
  set(part) {
    this.page.change({ ask: { ...this.page.ask, ...part } });
  }

  async show(shown) {
    const { moment, ask } = shown;
    const over = this.windows.some(([value]) => value === ask.over) ? ask.over : this.over;
    if (this.window) this.window.value = over;
    const variables = { asOf: asOf(moment), productId: this.page.product, ...this.variables({ ...shown, over }) };
    const data = await this.frame.ask(this.document, variables, { fixed: !moment.live });
    if (!data) return;
    const { heads, rows, above, total, none = "Nothing in this window." } = this.answer(data, shown);
    this.file.disabled = rows.length === 0;
    this.day = new Date(shown.at).toISOString().slice(0, 10);
    this.saved = [heads, ...rows.map((row) => row.map((cell) => cell?.text ?? cell))];
    this.frame.fill(rows.length ? [
      above, numbers(this.title, heads, rows, Boolean(above)),
      total > rows.length && el("p.quiet", `The first ${number(rows.length)} of ${number(total)}, in the file too; the query behind this gives the rest.`),
    ] : el("p.empty", none));
    this.drawn?.();
  }

  #save() {
    // The mark of UTF-8: without it spreadsheets take it for the computer's old alphabet.
    const url = URL.createObjectURL(new Blob(["\ufeff", csv(this.saved)], { type: "text/csv" }));
    el("a", { href: url, download: `${this.title.toLowerCase().replace(/\W+/g, "-")}-${this.day}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1_000);
  }
}

/** What was gained, as a cell. */
export function gain(value) {
  return value == null ? null : { text: value, show: el("span.gain", { "data-way": Math.sign(value) }, signed(value)) };
}

/** A table; below a chart it is closed at first. */
function numbers(title, heads, rows, closed) {
  const kinds = heads.map((_, i) => rows.some((row) => typeof (row[i]?.text ?? row[i]) === "number") && "figure");
  const table = el(
    "div.wide", { tabindex: 0, role: "region", "aria-label": `${title}, in numbers` },
    el(
      "table.numbers",
      el("thead", el("tr", heads.map((head, i) => el("th", { scope: "col", class: kinds[i] }, head)))),
      el("tbody", rows.map((row) => el("tr", row.map((cell, i) => el("td", { class: kinds[i] }, cell?.show ?? cell ?? "–"))))),
    ),
  );
  return closed ? el("details", el("summary", "In numbers"), table) : table;
}

/** Rows as RFC 4180 has it; a text that a spreadsheet would take for a formula is marked as text. */
export function csv(rows) {
  const cell = (value) => {
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** Days of a length of time as the API says it: `P1DT12H` is 1.5. */
export function days(duration) {
  if (duration == null) return null;
  const [, minus, d = 0, h = 0, m = 0, s = 0] = /^(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(duration) ?? [];
  const value = Number(d) + Number(h) / 24 + Number(m) / 1_440 + Number(s) / 86_400;
  return Math.round((minus ? -value : value) * 10) / 10;
}
