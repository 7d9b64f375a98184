// Reads and writes addresses: `/items/42?at=…&position=…` is an item at a moment, and is understood for good.

import { LIVE, past } from "./moment.js";

/** Where the service is: this file lies in its folder `page`. */
export const ROOT = new URL("..", import.meta.url);

/** The views that have an address of their own beside the board's, which is the root; `items` and `ask` add what of them. */
const PATHS = ["items", "changes", "ask", "feed", "projections"];
const MOMENT = ["at", "position", "clock"];

/** A link that opens a question in GraphiQL. */
export function graphiql(document, variables) {
  return `${ROOT.pathname}graphql?${new URLSearchParams({ query: document, variables: JSON.stringify(variables, null, 2) })}`;
}

/** An item in an address: Sleekplan's id, with the product where `several` are shown together. */
export function reference({ sleekplanId, productId }, several) {
  return several ? `${sleekplanId}@${productId}` : String(sleekplanId);
}

/** What a reference says, as arguments of `item`. */
export function naming(reference, productId) {
  const at = reference.lastIndexOf("@");
  return at < 0 ? { sleekplanId: reference, productId } : { sleekplanId: reference.slice(0, at), productId: reference.slice(at + 1) };
}

/**
 * What an address says: `view`, `item`, `moment` and whatever else it names.
 *
 * `problem` is what of it was not understood; `opaque` is an item as links named it before there were paths.
 */
export function read({ pathname, search }) {
  const [path, id] = pathname.slice(ROOT.pathname.length).split("/");
  const { item: opaque, view, ...said } = Object.fromEntries(new URLSearchParams(search));
  const found = path === "items" ? "item" : PATHS.includes(path) ? path : (view ?? (opaque ? "item" : "board"));
  const which = id ? decoded(id) : null;
  return { ...said, view: found, item: found === "item" ? which : null, question: found === "ask" ? which : null, opaque, ...momentOf(said) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Whether it is a day of the calendar, which has no 31 February: a browser would take that for a day in March. */
const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text) && new Date(text).toJSON()?.startsWith(text);

/** A time without a position is read as of what is known today; a position without a time, on our own clock. */
function momentOf({ at: said, position, clock = "occurred", log }) {
  // A plus in an address is read as a space, unless it is written %2B.
  const at = said?.replace(/ (?=\d\d:?\d\d$)/, "+");
  const wrong = (...problem) => ({ moment: LIVE, problem });
  const number = Number(position);
  if (position !== undefined && !(Number.isSafeInteger(number) && number > 0)) return wrong("position", position);
  if (at !== undefined && !(isDay(at.slice(0, 10)) && Date.parse(at))) return wrong("time", at);
  if (clock !== "occurred" && clock !== "recorded") return wrong("clock", clock);
  if (position === undefined && at !== undefined && clock === "recorded") return wrong("unplaced");
  if (at === undefined && position === undefined) return { moment: { ...LIVE, clock: clock.toUpperCase() } };
  const exact = /T.*Z$/.test(at) ? at : at && new Date(at).toISOString();
  const moment = clock === "recorded" || !at ? past("RECORDED", exact ?? null, number) : past("OCCURRED", exact, number || null);
  return { moment: { ...moment, log } };
}

/** The address of what is shown, without the origin. */
export function write({ view, item, question, moment, ...shown }) {
  const said = new URLSearchParams();
  if (!moment.live) {
    if (moment.time) said.set("at", moment.time);
    said.set("position", moment.position);
  }
  if (moment.clock === "RECORDED") said.set("clock", "recorded");
  for (const [name, value] of Object.entries(shown)) if (value && !MOMENT.includes(name)) said.set(name, value);
  const below = { item: ["items", item], ask: ["ask", question] }[view];
  const path = below ? below.filter(Boolean).map(encodeURIComponent).join("/").replaceAll("%40", "@") : view === "board" ? "" : view;
  const text = said.toString().replaceAll("%3A", ":").replaceAll("%40", "@");
  return `${ROOT.pathname}${path}${text && `?${text}`}`;
}
