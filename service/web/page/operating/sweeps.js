// What asks Sleekplan's API how the board is: back-fills and comparisons, those that run and how the last ones ended.

import { el } from "../dom.js";
import { date, plural } from "../format.js";

/** What is asked of a sweep to show it. */
export const SWEEP = `
    kind full state progress startedAt finishedAt requests events problem`;

const STATES = { STOPPED: "stopped half way", COMPLETE: "complete", PARTIAL: "ended, something is missing", ABANDONED: "abandoned" };
const KINDS = { BACKFILL: "back-fill", RECONCILE: "comparison" };

/** A line of the list; how much there is to ask is not known at first. */
export function sweep({ kind, full, state, progress: value, startedAt, finishedAt, requests, events, problem }) {
  const runs = state === "RUNNING";
  const name = `${kind === "RECONCILE" && full ? "full " : ""}${KINDS[kind] ?? kind.toLowerCase()}`;
  return el(
    "li", el("strong", name), !runs && el(state === "COMPLETE" ? "span" : "span.trouble", STATES[state]),
    el("span.quiet", `${plural(requests, "request")}, ${plural(events, "event")}`),
    !runs && el("span.quiet", date(finishedAt ?? startedAt)), problem && el("span.trouble", problem),
    runs && el("progress", { value, "aria-label": name }),
  );
}
