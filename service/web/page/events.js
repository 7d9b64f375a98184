// Shows one event of the log: when, and a sentence.

import { badge, el } from "./dom.js";
import { brief, dateTime, number } from "./format.js";
import { nameOfItem } from "./panel.js";

/** What is asked of an event to show it. */
export const EVENT = `
    position type origin occurredAt occurredAssumed recordedAt erased summary
    user { name }
    item { sleekplanId productId title }`;

/** What kind an event is of, by the first word of its type. */
const KINDS = {
  VOTE: "votes", ITEM: "items", MERGED: "items", COMMENT: "comments", USER: "people", SUBSCRIBED: "people", UNSUBSCRIBED: "people",
  SATISFACTION: "people", CHANGELOG: "changelog",
};

export const FETCHED = "back-fill";
export const KIND_NAMES = [...new Set(Object.values(KINDS)), "other", FETCHED];
export const kindOf = ({ origin, type }) => origin === "BACKFILL" ? FETCHED : KINDS[type?.split("_")[0]] ?? "other";

export const ORIGINS = {
  INFERRED: ["inferred", "No event says it: concluded from Sleekplan's totals"],
  IMPORT: ["imported", "Read from a file, not delivered by Sleekplan"],
  BACKFILL: ["backfilled", "Fetched from Sleekplan's API"],
  RECONCILE: ["found later", "No delivery told it: found by comparing with Sleekplan's API"],
};

/** What an event has to say of itself beside its sentence. */
export function badges(event) {
  return [
    event.origin in ORIGINS && badge(...ORIGINS[event.origin]),
    event.occurredAssumed && badge("assumed clock", "The body had no usable time: this is when it was received"),
    event.type?.startsWith("VOTE") && event.origin !== "INFERRED" && event.user === null && badge("voter unknown", "Sleekplan did not say who voted"),
    event.erased && badge("erased", "A person's data was erased from this event"),
  ];
}

/** When an event happened; chosen, it shows the board as it was then. */
export function place(event, page) {
  const title = `Show the board at position ${number(event.position)}`;
  return el("button.when", { title, onclick: () => page.move("travel", event) }, el("time", { datetime: event.occurredAt }, dateTime(event.occurredAt)));
}

/** One event as an entry of a list, with what else is `told` of it. */
export function entry(event, page, told = []) {
  return el(
    "li.event", { "data-kind": kindOf(event), "data-position": event.position },
    place(event, page),
    el(
      "div.what",
      event.item ? nameOfItem(event.item, page, brief(event.summary)) : brief(event.summary),
      badges(event).map((mark) => mark && [" ", mark]),
      told,
    ),
    el("span.position", { title: "Position in the log" }, number(event.position)),
  );
}
