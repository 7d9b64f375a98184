// Says moments, numbers and spans in words. All times are UTC, as the API gives them.

const whole = new Intl.NumberFormat("en-GB");

/** A way to say a moment, by its parts. */
function saying(parts) {
  const format = new Intl.DateTimeFormat("en-GB", { ...parts, timeZone: "UTC" });
  return (moment) => format.format(new Date(moment));
}

const DAY = { day: "numeric", month: "short", year: "numeric" };
const CLOCK = { hour: "2-digit", minute: "2-digit" };
export const date = saying(DAY);
export const longDate = saying({ ...DAY, weekday: "long", month: "long" });
export const month = saying({ ...DAY, day: undefined });
export const time = saying(CLOCK);
export const exactTime = saying({ ...CLOCK, second: "2-digit" });
export const dateTime = (moment) => `${date(moment)}, ${time(moment)}`;

export const number = (value) => (value == null ? "–" : whole.format(value));
export const signed = (value) => (value > 0 ? `+${whole.format(value)}` : value < 0 ? `−${whole.format(-value)}` : "±0");
export const plural = (count, one) => `${number(count)} ${one}${count === 1 ? "" : "s"}`;

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];

/** Seconds by their two greatest units: `12 d 4 h`. */
export function length(seconds) {
  let left = Math.round(seconds);
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count && parts.length < 2) parts.push(`${count} ${unit}`);
    else if (parts.length) break;
  }
  return parts.join(" ") || "0 s";
}
