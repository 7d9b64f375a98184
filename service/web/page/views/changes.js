// What changed on the board between two moments; the later one is the moment shown.

import { choice, el, write } from "../dom.js";
import { Frame, nameOfItem } from "../panel.js";
import { change } from "../difference.js";
import { asOf } from "../moment.js";
import { dateTime, number, plural, signed } from "../format.js";
import { learn, statusChip } from "../status.js";
import { DAY_MS } from "../axis.js";

/** What two moments differ by. */
const CHANGES = `query Changes($from: AsOf!, $to: AsOf, $productId: ID) {
  boardDiff(from: $from, to: $to, productId: $productId) {
    added { ...Brief }
    removed { ...Brief }
    changed {
      before { ...Brief }
      after { ...Brief }
      changes { field before after }
    }
  }
}
fragment Brief on Item { sleekplanId productId title status { key label role } votes { net } }`;

const SHOWN = 60;
const AGO = { day: DAY_MS, week: 7 * DAY_MS, month: 30 * DAY_MS, quarter: 91 * DAY_MS };

export default class Changes {
  constructor(root, page) {
    this.page = page;
    // Since when is a key of AGO, `look`, or a moment.
    const since = (value) => page.change({ since: value });
    this.frame = new Frame(root, "What changed", page.api);
    this.from = el("button.quiet", { onclick: () => this.#pick(since), title: "Count changes from a date and a time of day" });
    const ago = Object.keys(AGO).map((name) => [name, `a ${name} before`]);
    const look = page.looked ? [["look", "I last looked"]] : [];
    this.preset = choice("Since", [...look, ...ago, ["moment", "this moment:", { hidden: true }]], () => since(this.preset.value));
    this.frame.head.append(el("span.choice", "since ", this.preset, " ", this.from));
  }

  async show({ moment, since, at }) {
    // What was looked at last is what was known then, and known later than a moment of the past: from there one would go back.
    const looked = since === "look" && this.page.looked > 0 && (moment.live || (moment.clock === "RECORDED" && this.page.looked <= moment.position));
    const exact = !looked && !(since in AGO) && Date.parse(since);
    const preset = looked ? "look" : exact ? "moment" : since in AGO ? since : "week";
    const from = looked ? { position: this.page.looked } : this.#time(exact || at - AGO[preset], moment);
    this.preset.value = preset;
    this.began = exact || at - (AGO[preset] ?? 0);
    write(this.from, looked ? "another …" : `${dateTime(this.began)} UTC`);
    const ended = moment.live ? "now" : dateTime(at);
    // On our own clock the moment is known to the day.
    if (exact > at + (moment.clock === "RECORDED" ? DAY_MS : 0)) return this.frame.fill(el("p.empty", `From ${dateTime(exact)} to ${ended} would run backwards. Choose an earlier beginning, or a later moment on the bar.`));
    const variables = { from, to: asOf(moment), productId: this.page.product };
    const data = await this.frame.ask(CHANGES, variables, { fixed: !moment.live });
    if (data) this.#draw(data.boardDiff, from, ended);
  }

  #time(at, moment) {
    return { time: new Date(at).toISOString(), ...(moment.live ? {} : { position: moment.position }) };
  }

  async #pick(since) {
    const { pick } = await import("../picker.js");
    const at = await pick("Count changes from", this.began);
    if (at !== null) since(new Date(at).toISOString());
  }

  #draw({ added, removed, changed }, from, ended) {
    for (const { before, after } of changed) for (const { status } of [before, after]) learn(status?.key, status?.label);
    const began = from.time ? dateTime(from.time) : `position ${number(from.position)}`;
    const statuses = changed.filter(({ changes }) => changes.some(({ field }) => !COUNTS.has(field)));
    const counts = changed.filter((each) => !statuses.includes(each)).sort((a, b) => Math.abs(moved(b)) - Math.abs(moved(a)));
    this.frame.fill(
      el("p.quiet", `From ${began} to ${ended}: ${plural(added.length, "new item")}, ${removed.length} gone, ${statuses.length} changed, ${counts.length} moved by votes or comments alone.`),
      this.#section("New", added, (item) => [nameOfItem(item, this.page), " ", statusChip(item.status), " ", plural(item.votes?.net, "vote")]),
      this.#section("Changed", statuses, (each) => [nameOfItem(each.after, this.page), " ", each.changes.filter(({ field }) => !COUNTS.has(field)).map(change), votesOf(each)]),
      this.#section("Gone", removed, (item) => [nameOfItem(item, this.page), ` with ${plural(item.votes?.net, "vote")}`]),
      this.#section("Moved by votes", counts.filter(moved), (each) => [nameOfItem(each.after, this.page), " ", votesOf(each)]),
      !added.length && !removed.length && !changed.length && el("p.empty", "Nothing changed between these moments."),
    );
  }

  #section(title, list, line) {
    if (!list.length) return null;
    return [
      el("h3", `${title} `, el("span.quiet", number(list.length))),
      el("ul.differences", list.slice(0, SHOWN).map((each) => el("li", line(each)))),
      list.length > SHOWN && el("p.quiet", `… and ${number(list.length - SHOWN)} more; the query behind this gives them all.`),
    ];
  }
}

const COUNTS = new Set(["votes", "commentCount"]);

function moved({ before, after }) {
  return (after.votes?.net ?? 0) - (before.votes?.net ?? 0);
}

function votesOf(each) {
  const by = moved(each);
  return by ? el("span.gain", { "data-way": Math.sign(by) }, `${signed(by)} votes`) : null;
}
