// Says moments and numbers in words. All times are UTC, as the API gives them.

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
export const dayMonth = saying({ ...DAY, year: undefined });
export const time = saying(CLOCK);
export const exactTime = saying({ ...CLOCK, second: "2-digit" });
export const dateTime = (moment) => `${date(moment)}, ${time(moment)}`;

export const number = (value) => (value == null ? "–" : whole.format(value));
export const signed = (value) => (value > 0 ? `+${whole.format(value)}` : value < 0 ? `−${whole.format(-value)}` : "±0");
/** A text where there is little room: its first letters. */
export const brief = (text, most = 200) => (text.length > most ? `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, "")}…` : text);
/** An item in a list, where something has to be seen. */
export const titleOf = ({ title }) => (title == null ? "(title not known)" : /[^\s\p{Cf}]/u.test(title) ? brief(title) : "(no title)");
export const plural = (count, one) => `${number(count)} ${one}${count === 1 ? "" : "s"}`;
