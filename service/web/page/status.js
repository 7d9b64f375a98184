// Shows a status by its label and a sign for its role: colour is never the only difference.

import { el, svg } from "./dom.js";

const RING = "M3 8a5 5 0 1 0 10 0a5 5 0 1 0-10 0";
const SIGNS = {
  OPEN: [RING],
  ROADMAP: [RING, "M8 3a5 5 0 0 1 0 10z"],
  DONE: [RING, "M8 3a5 5 0 0 1 0 10a5 5 0 0 1 0-10z"],
  DECLINED: ["M4 4l8 8M12 4l-8 8"],
};

export const roleOf = (status) => status?.role?.toLowerCase();

const labels = new Map();

/** Remember what a key is called, for the differences, which name keys alone. */
export function learn(key, label) {
  if (key && label) labels.set(key, label);
}

export const labelOf = (key) => labels.get(key) ?? key;

export function nameOf(status) {
  learn(status?.key, status?.label);
  return status?.label ?? status?.key ?? "unknown";
}

/** A status in words, with its sign. */
export function statusChip(status) {
  if (!status) return el("span.status", "not known");
  const role = roleOf(status);
  return el(
    "span.status",
    { "data-role": role, title: role ? `${status.key}: ${role}` : status.key },
    sign(status.role),
    el("span", nameOf(status)),
  );
}

function sign(role) {
  const [outline, filled] = SIGNS[role] ?? ["M4 8h8"];
  return svg(
    "svg",
    { viewBox: "0 0 16 16", class: "sign", "aria-hidden": "true" },
    svg("path", { d: outline }),
    filled && svg("path", { d: filled, class: "full" }),
  );
}
