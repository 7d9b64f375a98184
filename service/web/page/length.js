// Says lengths of time in words.

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
