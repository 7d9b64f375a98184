// Questions that are asked of the board, each as of the moment: one is shown, and loaded when it is first chosen.

import { el } from "../dom.js";
import { part } from "../graphql.js";
import { styled } from "../styled.js";

const QUESTIONS = { rising: "Rising", ranks: "Ranks", flow: "Flow", times: "Times", promises: "Promises", satisfaction: "Satisfaction" };

await styled(new URL("../ask/ask.css", import.meta.url));

export default class Asking {
  #reports = new Map();

  constructor(root, page) {
    this.page = page;
    this.choices = new Map(Object.entries(QUESTIONS).map(([name, title]) => [name, el("button", { onclick: () => page.change({ question: name }, true) }, title)]));
    this.place = el("div");
    root.append(el("nav.questions", { "aria-label": "Questions" }, [...this.choices.values()]), this.place);
  }

  /** Where trouble is told: the question that is shown. */
  get frame() {
    return this.report?.frame;
  }

  async show(shown) {
    const name = shown.question in QUESTIONS ? shown.question : "rising";
    for (const [each, button] of this.choices) button.ariaCurrent = each === name ? "page" : null;
    this.chosen = name;
    if (!this.#reports.has(name)) {
      // Until it is there, nothing of the question before stands below its name.
      this.place.replaceChildren();
      try {
        const { default: Question } = await part(import(`../ask/${name}.js`));
        if (!this.#reports.has(name)) this.#reports.set(name, new Question(this.page));
      } catch (error) {
        if (this.chosen === name) this.place.replaceChildren(el("p.trouble", error.message));
        throw error;
      }
    }
    if (this.chosen !== name) return;
    this.report = this.#reports.get(name);
    if (this.place.firstChild !== this.report.root) this.place.replaceChildren(this.report.root);
    this.place.dataset.question = name;
    await this.report.show(shown);
  }
}
