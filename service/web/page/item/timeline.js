// What happened to an item, newest first: runs of votes are one line, and what all lines would say is said once.

import { el } from "../dom.js";
import { ORIGINS, entry } from "../events.js";
import { change } from "../difference.js";
import { date, number, plural, signed } from "../format.js";
import { nameOfField } from "../text.js";

/** So many votes in a row are worth a line of their own. */
const RUN = 3;
const TOLD = new Set(["title", "status", "description", "type"]);

/** The list of `events`, of an item that the lines need not name. */
export function timeline(events, page) {
  const common = events.length > 1 && events.every(({ origin }) => origin === events[0].origin) ? events[0].origin : null;
  return [
    common in ORIGINS && el("p.quiet", `All of these: ${ORIGINS[common][1].replace(/^./, (first) => first.toLowerCase())}.`),
    el("ol.events", runs(events).map((run) => (run.length < RUN ? run.map((event) => line(event, page, common)) : el("li.run", votes(run, page, common))))),
  ];
}

function runs(events) {
  const found = [];
  for (const event of events) {
    const vote = event.type?.startsWith("VOTE_") && event.origin !== "INFERRED";
    if (vote && found.at(-1)?.votes) found.at(-1).push(event);
    else found.push(Object.assign([event], { votes: vote }));
  }
  return found;
}

function votes(run, page, common) {
  const count = (type, one) => run.filter((event) => event.type === type).length || null;
  const parts = [["VOTE_CAST", "vote"], ["VOTE_CHANGED", "vote turned round"], ["VOTE_WITHDRAWN", "vote withdrawn"]]
    .map(([type, words]) => [count(type), words]).filter(([many]) => many);
  const [first, last] = [date(run.at(-1).occurredAt), date(run[0].occurredAt)];
  const words = parts.map(([many, one]) => `${number(many)} ${many === 1 ? one : one.replace("vote", "votes")}`).join(", ");
  return el(
    "details", el("summary", el("span.when", first === last ? first : `${first} – ${last}`), " ", words),
    el("ol.events", run.map((event) => line(event, page, common))),
  );
}

function line(event, page, common) {
  const told = (event.changes ?? []).filter(({ field }) => TOLD.has(field));
  const shown = { ...event, summary: itself(event.summary), item: null, origin: event.origin === common ? null : event.origin };
  return entry(shown, page, told.map(change));
}

/** A sentence about an item whose title stands above: “…” is *it*. */
function itself(summary) {
  return summary.replace(/“.*”/s, "it").replace(/^./, (first) => first.toUpperCase());
}

/** A conclusion in the place of an event. */
export function concluded({ likelyCause, field, delta, ours, theirs, ...inference }) {
  return {
    ...inference, origin: "INFERRED", type: inference.kind, occurredAt: inference.seenAt, later: true,
    summary: `Probably ${likelyCause}: ${nameOfField(field)} ${signed(delta)} (${number(ours)} seen, ${number(theirs)} by Sleekplan)`,
  };
}

export const countOf = (shown, total) => `${number(shown)} of ${plural(total, "event")}. `;
