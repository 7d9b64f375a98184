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
