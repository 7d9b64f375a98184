// Steps through the log one event at a time.

import { Lane } from "./graphql.js";
import { past } from "./moment.js";
import { brief, plural } from "./format.js";

/** The events around a moment, to step by. */
const STEPS = `query Steps(
  $productId: ID, $behind: EventFilter, $ahead: EventFilter, $newestFirst: EventOrderBy!, $oldestFirst: EventOrderBy!
) {
  behind: events(productId: $productId, filter: $behind, orderBy: $newestFirst, first: 100) { ...Step }
  ahead: events(productId: $productId, filter: $ahead, orderBy: $oldestFirst, first: 100) { ...Step }
}
fragment Step on EventConnection { nodes { position occurredAt recordedAt summary } }`;

const PAGE = 100;

/** Microseconds of a moment, which a Date would cut to milliseconds. */
export function micros(text) {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  return Date.parse(text.replace(/\.\d+/, "")) * 1000 + Number(fraction.padEnd(6, "0").slice(0, 6));
}

/** The moment of so many microseconds, to the last of them. */
export function isoMicros(value) {
  const rest = ((value % 1_000_000) + 1_000_000) % 1_000_000;
  return new Date((value - rest) / 1000).toISOString().replace(/\.\d+Z$/, `.${String(rest).padStart(6, "0")}Z`);
}

/** Finds the events next to a moment. On OCCURRED those of one instant are one step: the past has no place between them. */
export class Steps {
  #lane;
  #groups = [];
  #of = "";

  constructor(api, product) {
    this.#lane = new Lane(api);
    this.product = product;
  }

  /** Return `{moment, events, said}` one step on (1) or back (-1); null at either end, or when a newer step was asked. */
  async from(moment, direction) {
    const occurred = moment.clock === "OCCURRED";
    const of = occurred ? `at ${moment.position}` : "learnt";
    if (of !== this.#of) this.#groups = [];
    this.#of = of;
    const here = occurred ? micros(moment.time) : moment.position;
    let found = this.#near(here, direction);
    if (found === undefined) {
      await this.#read(occurred, here, moment.position);
      found = this.#near(here, direction);
    }
    if (!found) return null;
    const event = found.events.at(-1);
    const reached = occurred
      ? past("OCCURRED", event.occurredAt, moment.position)
      : past("RECORDED", event.recordedAt, event.position);
    return { moment: reached, events: found.events, said: sentence(found.events) };
  }

  /** The group one step away; null where there is none, undefined where that is not known. */
  #near(here, direction) {
    const groups = this.#groups;
    // "As of" includes its instant: the state here is that after the last group at or before it.
    const present = groups.findLastIndex(({ key }) => key <= here);
    if (!groups.length || (present < 0 && !groups.first)) return undefined;
    if (present === groups.length - 1 && here > groups[present].key && !groups.last) return undefined;
    const index = present + direction;
    if (index < 0) return groups.first ? null : undefined;
    return groups[index] ?? (groups.last ? null : undefined);
  }

  async #read(occurred, here, position) {
    const orderBy = (direction) => ({ field: occurred ? "OCCURRED_AT" : "POSITION", direction });
    const known = { position: { lte: position } };
    const answer = await this.#lane.ask(STEPS, {
      productId: this.product,
      behind: occurred ? { ...known, occurred: { to: isoMicros(here + 1) } } : { position: { lte: here } },
      ahead: occurred ? { ...known, occurred: { from: isoMicros(here + 1) } } : { position: { gt: here } },
      newestFirst: orderBy("DESC"), oldestFirst: orderBy("ASC"),
    });
    if (!answer) return;
    const { behind, ahead } = answer.data;
    const groups = grouped([...behind.nodes.reverse(), ...ahead.nodes], occurred);
    [groups.first, groups.last] = [behind.nodes.length < PAGE, ahead.nodes.length < PAGE];
    // A full page may end within an instant; what is cut is read whole when it is reached.
    if (!groups.first && groups.length > 2) groups.shift();
    if (!groups.last && groups.length > 2) groups.pop();
    this.#groups = groups;
  }
}

function sentence(events) {
  if (events.length === 1) return brief(events[0].summary);
  return `${plural(events.length, "event")} at once: ${events.slice(0, 3).map(({ summary }) => brief(summary)).join(" · ")}${events.length > 3 ? " …" : ""}`;
}

function grouped(events, occurred) {
  const groups = [];
  for (const event of events) {
    const key = occurred ? micros(event.occurredAt) : event.position;
    if (groups.at(-1)?.key === key) groups.at(-1).events.push(event);
    else groups.push({ key, events: [event] });
  }
  return groups;
}
