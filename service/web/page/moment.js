// The moment that is shown: now, or a place in the past that an address names for good.
//
// A past moment carries both clocks: a time, and the position up to which the log is believed. On the clock
// OCCURRED it reads "what had happened by `time`, by what we knew at `position`"; on RECORDED it reads "what we
// knew at `position`". Either way no later event changes the answer, so it may be kept and linked.

export const LIVE = Object.freeze({ live: true, clock: "OCCURRED" });

export function past(clock, time, position) {
  return Object.freeze({ live: false, clock, time, position });
}

/** The moment as the API's `AsOf`; null is now. */
export function asOf(moment) {
  if (moment.live) return null;
  if (moment.clock === "RECORDED") return { position: moment.position };
  return { time: moment.time, position: moment.position };
}

/** What an address says: the moment, and which view, item and window were shown. */
export function fromAddress(search) {
  const said = new URLSearchParams(search);
  const position = Number(said.get("position"));
  const time = said.get("at");
  const clock = said.get("clock") === "recorded" ? "RECORDED" : "OCCURRED";
  const named = Number.isSafeInteger(position) && position > 0 && (clock === "RECORDED" || Date.parse(time) > 0);
  return { ...Object.fromEntries(said), moment: named ? past(clock, time, position) : { ...LIVE, clock } };
}

/** The address of what is shown, without the origin. */
export function toAddress(moment, shown) {
  const said = new URLSearchParams();
  if (!moment.live) {
    if (moment.time) said.set("at", moment.time);
    said.set("position", moment.position);
  }
  if (!moment.live || moment.clock === "RECORDED") said.set("clock", moment.clock.toLowerCase());
  for (const [name, value] of Object.entries(shown)) if (value) said.set(name, value);
  const text = said.toString().replaceAll("%3A", ":");
  return text ? `?${text}` : "./";
}
