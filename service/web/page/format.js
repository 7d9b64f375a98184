// Says moments, numbers and lengths of time in words. All times are UTC, as the API gives them.

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

export const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
export const signed = (value) => (value > 0 ? `+${whole.format(value)}` : value < 0 ? `−${whole.format(-value)}` : "±0");
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];

/** A length of time by its two greatest units: `12 d 4 h`. Takes seconds, or a duration as ISO 8601 writes it. */
export function length(value) {
  let left = Math.round(typeof value === "number" ? value : iso(value));
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count && parts.length < 2) parts.push(`${count} ${unit}`);
    else if (parts.length) break;
  }
  return parts.join(" ") || "0 s";
}

function iso(text) {
  const found = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(text) ?? [];
  const [days, hours, minutes, secs] = [1, 2, 3, 4].map((part) => Number(found[part] ?? 0));
  return (days * 24 + hours) * 3_600 + minutes * 60 + secs;
}
