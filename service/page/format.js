// Says moments, numbers and lengths of time in words. All times are UTC, as the API gives them.

const whole = new Intl.NumberFormat("en-GB");
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const longDay = new Intl.DateTimeFormat("en-GB", {
  weekday: "long", day: "numeric", month: "long", year: "numeric", timeZone: "UTC",
});
const monthYear = new Intl.DateTimeFormat("en-GB", { month: "short", year: "numeric", timeZone: "UTC" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const seconds = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC",
});

export const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
export const signed = (value) => (value > 0 ? `+${whole.format(value)}` : value < 0 ? `−${whole.format(-value)}` : "±0");
export const date = (moment) => day.format(new Date(moment));
export const longDate = (moment) => longDay.format(new Date(moment));
export const month = (moment) => monthYear.format(new Date(moment));
export const time = (moment) => clock.format(new Date(moment));
export const exactTime = (moment) => seconds.format(new Date(moment));
export const dateTime = (moment) => `${date(moment)}, ${time(moment)}`;
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
