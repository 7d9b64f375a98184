// One item as of the moment shown: its course, its wordings and the votes for each, who said what, and its events.

import { badge, el, put, refill } from "../dom.js";
import { styled } from "../styled.js";
import { Frame } from "../panel.js";
import { change } from "../difference.js";
import { plainText } from "../text.js";
import { comments } from "../item/comments.js";
import { followers, voters } from "../item/people.js";
import { concluded, countOf, timeline } from "../item/timeline.js";
import { asOf } from "../moment.js";
import { date, number, plural, signed } from "../format.js";
import { length } from "../length.js";
import { learn, nameOf, roleOf, statusChip } from "../status.js";
import { voteCurve } from "../curve.js";
import { badges, place } from "../events.js";
import { DAY_MS } from "../axis.js";

/** One item as of a moment, with all that led there. */
const ITEM = `query Item($sleekplanId: ID!, $productId: ID, $asOf: AsOf, $last: Int!) {
  item(sleekplanId: $sleekplanId, productId: $productId, asOf: $asOf) {
    title url description typeLabel type createdAt deletedAt commentCount rank
    status { key label role }
    author { name }
    votes { up down net }
    voteSeries(bucket: WEEK) { t cumulative }
    statusHistory { to { key label role } enteredAt leftAt }
    revisions(fields: ["title", "description"]) {
      at position by { name }
      changes { field before after }
      votesBefore { net } votesAfter { net }
    }
    comments(first: 0, filter: {deleted: null}) { totalCount }
    castVotes(first: 0, filter: {withdrawn: null}) { totalCount }
    subscriptions(first: 0, filter: {active: null}) { totalCount }
    inferences { position kind likelyCause field delta ours theirs seenAt }
    ofTitle: provenance(field: "title") { ...Source }
    ofText: provenance(field: "description") { ...Source }
    ofStatus: provenance(field: "status") { ...Source }
    ofType: provenance(field: "type") { ...Source }
    ofVotes: provenance(field: "votes") { ...Source }
    timeline(last: $last) {
      totalCount
      nodes {
        position type origin occurredAt occurredAssumed erased summary
        user { name }
        changes { field before after }
      }
    }
  }
}
fragment Source on Provenance { event { position occurredAt origin summary } }`;

await styled(new URL("item.css", import.meta.url));

const PAGE = 30;
const MOST = 480;
const REVISIONS = 4;

export default class ItemView {
  #last = PAGE;
  #of = null;
  #drawn = "";

  constructor(root, page) {
    this.page = page;
    this.frame = new Frame(root, "Item", page.api);
    this.close = el("button.quiet.close", { onclick: () => page.open(null), title: "Close this item (Escape)" }, "Close");
    this.frame.head.append(this.close);
    this.parts = { comments: comments(page), castVotes: voters(page), subscriptions: followers(page) };
    [this.facts, this.history] = [el("div"), el("div")];
    this.none = el("p.empty");
    this.shown = el("div", this.facts, Object.values(this.parts).map(({ element }) => element), this.history);
    this.frame.fill(this.none, this.shown);
    this.#nothing();
  }

  async show(asked) {
    const { moment, item, at } = (this.asked = asked);
    if (item !== this.#of) this.#turnTo(item);
    if (!item) return;
    const variables = { ...this.page.naming(item), asOf: asOf(moment), last: this.#last };
    const data = await this.frame.ask(ITEM, variables, { fixed: !moment.live });
    if (!data) return;
    // An open list or a focus would be lost by drawing the same once more.
    const drawn = JSON.stringify([data, moment.time]);
    if (drawn !== this.#drawn) this.#draw(data.item, at);
    this.#drawn = drawn;
    for (const section of Object.values(this.parts)) section.look();
  }

  /** Nothing of the item before is to stand below the name of another, however long that one's answer takes. */
  #turnTo(item) {
    this.#of = item;
    this.#last = PAGE;
    this.frame.drop();
    for (const section of Object.values(this.parts)) section.clear();
    this.#nothing(item ? "Asking …" : undefined);
  }

  #nothing(why = "Choose an item on the board to see how it came to be.") {
    this.#drawn = "";
    this.frame.title.textContent = "Item";
    this.shown.hidden = true;
    this.close.hidden = !this.#of;
    this.none.hidden = false;
    this.none.textContent = why;
  }

  #draw(item, now) {
    if (!item) return this.#nothing(this.frame.trouble.textContent ? "" : "At this moment nothing had been heard of the item.");
    this.frame.title.textContent = item.title ?? "(title not known)";
    learn(item.type, item.typeLabel);
    for (const { to } of item.statusHistory) learn(to?.key, to?.label);
    this.shown.hidden = this.close.hidden = false;
    this.none.hidden = true;
    refill(this.facts, this.#facts(item), this.#course(item, now));
    for (const [name, section] of Object.entries(this.parts)) section.show(this.asked, item[name].totalCount);
    refill(this.history, this.#wordings(item), this.#provenance(item), this.#timeline(item));
  }

  #facts(item) {
    const { up, down, net } = item.votes ?? {};
    return [
      el(
        "p.facts",
        statusChip(item.status), el("strong", plural(net, "vote")),
        el("span", `${number(up)} for, ${number(down)} against`),
        item.rank && el("span", `rank ${item.rank}`),
        el("span", plural(item.commentCount ?? 0, "comment")),
        item.typeLabel ?? item.type,
        item.deletedAt && badge(`deleted ${date(item.deletedAt)}`, "Sleekplan announced its deletion"),
      ),
      item.description && el("p.text", plainText(item.description)),
      el("p.quiet", item.createdAt ? `Submitted ${date(item.createdAt)}` : "Submitted at a time not told", item.author?.name && [" by ", el("bdi", item.author.name)], item.url && [" · ", el("a", { href: item.url, target: "_blank", rel: "noopener noreferrer" }, "On Sleekplan")]),
    ];
  }

  #course(item, now) {
    const known = item.voteSeries.filter(({ cumulative }) => cumulative !== null);
    if (!known.length) return null;
    const from = Math.min(Date.parse(item.createdAt ?? known[0].t), Date.parse(known[0].t));
    // A step's total stands at its end; the last step's at the moment itself.
    const points = [{ at: from, value: 0 }, ...known.map(({ t, cumulative }) => ({ at: Math.min(Date.parse(t) + 7 * DAY_MS, now), value: cumulative }))];
    const bands = item.statusHistory.map(({ to: status, enteredAt, leftAt }) => ({
      status, leftAt, from: Date.parse(enteredAt), to: leftAt ? Date.parse(leftAt) : now, role: roleOf(status) ?? "none", name: nameOf(status),
    }));
    const periods = bands.map(({ status, leftAt, from, to }) =>
      el("li", statusChip(status), ` ${date(from)}`, el("span.quiet", leftAt ? " for " : " until now, ", length((to - from) / 1_000))));
    if (bands.length) bands[0].from = from;
    const label = `Votes from ${date(from)} to ${date(now)}: ${number(known[0].cumulative)} after the first week, ${number(known.at(-1).cumulative)} at the end.`;
    return [
      el("h3", "Votes and statuses"),
      voteCurve({ points, bands, from, to: now, label, width: Math.max(300, this.frame.body.clientWidth) }),
      el("ol.periods", periods),
    ];
  }

  #wordings(item) {
    const { revisions } = item;
    if (!revisions.length) return [el("h3", "Wording"), el("p.quiet", "Never rewritten, as far as events tell.")];
    const lines = revisions.map((revision) => this.#wording(revision)).reverse();
    return [
      el("h3", `Reworded ${revisions.length === 1 ? "once" : plural(revisions.length, "time")}`),
      el("ol.revisions", lines.slice(0, REVISIONS)),
      lines.length > REVISIONS && el(
        "details", el("summary", `${plural(lines.length - REVISIONS, "earlier wording")}`),
        el("ol.revisions", lines.slice(REVISIONS)),
      ),
    ];
  }

  #wording({ at, position, by, changes, votesBefore, votesAfter }) {
    return el(
      "li",
      place({ position, occurredAt: at }, this.page),
      by?.name && [" by ", el("bdi", by.name)],
      changes.map(change),
      el(
        "p.split",
        el("strong", plural(votesBefore.net, "vote")), " for the words before · ", el("strong", signed(votesAfter.net ?? 0)), " since",
      ),
    );
  }

  #provenance(item) {
    const sources = Object.entries(item).filter(([name]) => name.startsWith("of"));
    const rows = sources.map(([name, source]) => {
      const event = source?.event;
      return el(
        "div", el("dt", name.slice(2).toLowerCase()),
        el("dd", event
          ? [place(event, this.page), ` position ${number(event.position)} `, badges(event)]
          : "no event told it"),
      );
    });
    return el("details.provenance", el("summary", "Which event said each field"), el("dl", rows));
  }

  #timeline(item) {
    const { totalCount, nodes } = item.timeline;
    const oldest = nodes[0]?.position ?? 0;
    const inferred = item.inferences
      .filter(({ position }) => nodes.length >= totalCount || position >= oldest)
      .map(concluded);
    const events = [...nodes, ...inferred].sort((a, b) => b.position - a.position || Number(b.later ?? 0) - Number(a.later ?? 0));
    const more = nodes.length < totalCount && this.#last < MOST;
    return [
      el("h3", "What happened to it"),
      timeline(events, this.page),
      put(
        el("p"),
        el("span.quiet", countOf(nodes.length, totalCount)),
        more && el("button.quiet", { onclick: () => { this.#last = Math.min(this.#last * 4, MOST); this.show(this.asked); } }, "Show earlier ones"),
      ),
    ];
  }
}
