// Says how two values of a field differ: words that came and went, or one thing in place of another.

import { cleanupSemantic, makeDiff } from "./assets/diff-match-patch.js";
import { el } from "./dom.js";
import { styled } from "./styled.js";
import { labelOf } from "./status.js";
import { nameOfField, plainText } from "./text.js";

await styled(new URL("difference.css", import.meta.url));

const CONTEXT_WORDS = 6;
/** Of less than this share that stayed, the pieces would only be in the way: both texts are shown whole. */
const KEPT_MIN = 0.4;
/** Each word becomes a letter; below are letters that the comparison takes for more than that. */
const LETTERS_FROM = 0x100;
const LETTERS_MOST = 0xd800 - LETTERS_FROM;
const [GONE, SAME, CAME] = [-1, 0, 1];

/** Two texts word by word, as `[[-1 | 0 | 1, text], …]`: what went, stayed and came. */
export function wordsOf(before, after) {
  const words = new Map();
  // A word has the space before it, so that what is between two changed words is one word and no three.
  const letters = (text) => (` ${text}`.match(/\s*(?:[\p{L}\p{M}\p{N}_]+|\S)|\s+$/gu) ?? []).map((word) => {
    if (!words.has(word)) words.set(word, String.fromCharCode(LETTERS_FROM + words.size));
    return words.get(word);
  }).join("");
  const [old, fresh] = [letters(before), letters(after)];
  const whole = [[GONE, before], [CAME, after]].filter(([, text]) => text);
  if (words.size > LETTERS_MOST) return whole;
  const known = [...words.keys()];
  const said = (text) => [...text].map((letter) => known[letter.charCodeAt(0) - LETTERS_FROM]).join("");
  const parts = cleanupSemantic(makeDiff(old, fresh)).map(([kind, text]) => [kind, said(text)]);
  const kept = parts.filter(([kind]) => kind === SAME).reduce((sum, [, text]) => sum + text.trim().length, 0);
  if (kept < KEPT_MIN * Math.max(before.length, after.length)) return whole;
  // The space that was put before each text goes again.
  return parts.map(([kind, text], i) => [kind, i === 0 || (i === 1 && parts[0][0] !== SAME) ? text.replace(" ", "") : text]).filter(([, text]) => text);
}

/** The same as insertions and deletions; of what stayed, only what stands around them. */
function wording(before, after) {
  const parts = wordsOf(before, after);
  const whole = parts.every(([kind]) => kind !== SAME);
  return parts.map(([kind, text], i) => {
    if (kind === SAME) return shortened(text, i > 0, i < parts.length - 1);
    return el(kind === GONE ? "del" : "ins", whole && { class: "whole" }, text);
  });
}

function shortened(text, after, before) {
  const words = text.split(/(?<=\s)(?=\S)/);
  if (words.length <= 2 * CONTEXT_WORDS + 2) return text;
  const [head, tail] = [words.slice(0, after ? CONTEXT_WORDS : 0), words.slice(before ? -CONTEXT_WORDS : words.length)];
  return [head.join("").trimEnd(), "…", tail.join("")].filter(Boolean).join(" ");
}

const KEYS = new Set(["status", "type"]);
const TEXTS = new Set(["title", "description"]);

/** One field's difference, in a line. */
export function change({ field, before, after }) {
  const texts = TEXTS.has(field) && typeof before === "string" && typeof after === "string";
  const shown = (text) => (field === "title" ? text : plainText(text));
  return el(
    "p.change",
    el("span.field", nameOfField(field)),
    " ",
    texts ? el("span.words", wording(shown(before), shown(after))) : plain(...(KEYS.has(field) ? [labelOf(before), labelOf(after)] : [before, after])),
  );
}

function plain(before, after) {
  return [
    before != null && [el("del", said(before)), " → "],
    after == null ? "not known" : el("ins", said(after)),
  ];
}

function said(value) {
  return typeof value === "object" ? JSON.stringify(value) : value;
}
