// Shows one event of the log: when, a sentence, and what has to be said about it honestly.

import { badge, el } from "./dom.js";
import { dateTime, exactTime, date, number } from "./format.js";
import { change } from "./panel.js";

const KINDS = {
  votes: ["VOTE_CAST", "VOTE_CHANGED", "VOTE_WITHDRAWN"],
  items: ["ITEM_CREATED", "ITEM_EDITED", "ITEM_STATUS_CHANGED", "ITEM_DELETED"],
  comments: ["COMMENT_CREATED", "COMMENT_EDITED", "COMMENT_DELETED"],
  people: ["USER_CREATED", "USER_EDITED", "USER_DELETED", "SUBSCRIBED", "UNSUBSCRIBED", "CHANGELOG_SUBSCRIBED", "SATISFACTION_GIVEN"],
  changelog: ["CHANGELOG_CREATED", "CHANGELOG_EDITED", "CHANGELOG_DELETED"],
};
const KIND_OF = Object.fromEntries(Object.entries(KINDS).flatMap(([kind, types]) => types.map((type) => [type, kind])));

export const KIND_NAMES = [...Object.keys(KINDS), "other"];
export const kindOf = (event) => KIND_OF[event.type] ?? "other";

const NOT_TOLD = new Set(["title", "status", "description", "type"]);

/** What an event has to say of itself beside its sentence. */
export function badges(event) {
  return [
    event.origin === "INFERRED" && badge("inferred", "No event says it: concluded from Sleekplan's totals"),
    event.origin === "IMPORT" && badge("imported", "Read from a file or written as history, not delivered by Sleekplan"),
    event.origin === "BACKFILL" && badge("backfilled", "Fetched from Sleekplan's API"),
    event.occurredAssumed && badge("assumed clock", "The body had no usable time: this is when it was received"),
    kindOf(event) === "votes" && event.origin !== "INFERRED" && event.user === null && badge("voter unknown", "Sleekplan did not say who voted"),
    event.erased && badge("erased", "A person's data was erased from this event"),
  ];
}

/** One event as an entry of a list. `travel(event)` shows the board at it; `open(id)` its item, where `withItem`. */
export function entry(event, { travel, open, withItem = false }) {
  const told = withItem ? [] : (event.changes ?? []).filter(({ field, words }) => words || NOT_TOLD.has(field));
  return el(
    "li", { class: "event", "data-kind": kindOf(event), "data-position": event.position },
    el(
      "button", { class: "when", title: `Show the board at position ${number(event.position)}`, onclick: () => travel(event) },
      el("time", { datetime: event.occurredAt }, withItem ? exactTime(event.occurredAt) : dateTime(event.occurredAt)),
      withItem && el("span", { class: "on" }, ` ${date(event.occurredAt)}`),
    ),
    el(
      "div", { class: "what" },
      el("span", { class: "sentence" }, event.summary), " ", badges(event).map((mark) => mark && [mark, " "]),
      withItem && event.item && el("button", { class: "about", onclick: () => open(event.item.id) }, event.item.title ?? "item"),
      told.map(change),
    ),
    el("span", { class: "position", title: "Position in the log" }, number(event.position)),
  );
}
