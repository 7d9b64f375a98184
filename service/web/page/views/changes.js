// What changed on the board between two moments; the later one is the moment shown.

import { choice, el, write } from "../dom.js";
import { Frame, nameOfItem } from "../panel.js";
import { change } from "../difference.js";
import { part } from "../graphql.js";
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
    addedCount removedCount changedCount
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
    if (exact > at + (moment.clock === "RECORDED" ? DAY_MS : 0)) {
      this.frame.drop();
      return this.frame.fill(el("p.empty", `From ${dateTime(exact)} to ${ended} would run backwards. Choose an earlier beginning, or a later moment on the bar.`));
    }
    const variables = { from, to: asOf(moment), productId: this.page.product };
    const data = await this.frame.ask(CHANGES, variables, { fixed: !moment.live });
    if (data) this.#draw(data.boardDiff, from, ended);
  }

  #time(at, moment) {
    return { time: new Date(at).toISOString(), ...(moment.live ? {} : { position: moment.position }) };
  }

  async #pick(since) {
    const { pick } = await part(import("../picker.js")).catch((error) => (this.frame.say(error), {}));
    const at = await pick?.("Count changes from", this.began);
    if (at) since(new Date(at).toISOString());
  }

  #draw({ added, removed, changed, addedCount, removedCount, changedCount }, from, ended) {
    for (const { before, after } of changed) for (const { status } of [before, after]) learn(status?.key, status?.label);
    const began = from.time ? dateTime(from.time) : `position ${number(from.position)}`;
    const statuses = changed.filter(({ changes }) => changes.some(({ field }) => !(field in COUNTS)));
    const counts = changed.filter((each) => !statuses.includes(each)).sort((a, b) => size(b) - size(a));
    // The API names so many at most, and counts all.
    const cut = changedCount > changed.length;
    const moved = cut ? `${number(changedCount)} changed or moved, of which the first ${number(changed.length)} are below.`
      : `${number(statuses.length)} changed, ${number(counts.length)} moved by votes or comments alone.`;
    this.frame.fill(
      el("p.quiet", `From ${began} to ${ended}: ${plural(addedCount, "new item")}, ${number(removedCount)} gone, ${moved}`),
      this.#section("New", added, addedCount, (item) => [nameOfItem(item, this.page), " ", statusChip(item.status), " ", plural(item.votes?.net, "vote")]),
      this.#section("Changed", statuses, statuses.length, (each) => [nameOfItem(each.after, this.page), " ", each.changes.filter(({ field }) => !(field in COUNTS)).map(change), moves(each)]),
      this.#section("Gone", removed, removedCount, (item) => [nameOfItem(item, this.page), ` with ${plural(item.votes?.net, "vote")}`]),
      this.#section("Moved by votes or comments", counts, counts.length, (each) => [nameOfItem(each.after, this.page), " ", moves(each)]),
      !addedCount && !removedCount && !changedCount && el("p.empty", "Nothing changed between these moments."),
    );
  }

  #section(title, list, count, line) {
    if (!list.length) return null;
    return [
      el("h3", `${title} `, el("span.quiet", number(count))),
      el("ul.differences", list.slice(0, SHOWN).map((each) => el("li", line(each)))),
      count > SHOWN && el("p.quiet", `… and ${number(count - SHOWN)} more; the query behind this gives ${count > list.length ? `the first ${number(list.length)}` : "them all"}.`),
    ];
  }
}

/** Fields that move by themselves, by what one of them is called. */
const COUNTS = { votes: "vote", commentCount: "comment" };

const by = ({ before, after }) => (after ?? 0) - (before ?? 0);
const size = ({ changes }) => changes.reduce((sum, each) => sum + Math.abs(by(each)), 0);

/** Votes and comments that came or went. */
function moves({ changes }) {
  return changes.filter((each) => each.field in COUNTS && by(each)).map((each) =>
    [el("span.gain", { "data-way": Math.sign(by(each)) }, `${signed(by(each))} ${COUNTS[each.field]}${Math.abs(by(each)) === 1 ? "" : "s"}`), " "]);
}
