// The moment that is shown: now, or a place in the past that an address names for good.
//
// It reads "what had happened by `time`, by what we knew at `position`", on RECORDED without the time: no later
// event changes that. A link says its log, too, by a cursor.

export const LIVE = Object.freeze({ live: true, clock: "OCCURRED" });

export function past(clock, time, position) {
  return Object.freeze({ live: false, clock, time, position });
}

/** The moment as the API's `AsOf`; null is now. */
export function asOf(moment) {
  if (moment.live) return null;
  const { clock, time, position, log: cursor } = moment;
  return { position, cursor, time: clock === "RECORDED" ? null : time };
}
