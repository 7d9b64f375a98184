// Makes elements. Text goes in as text: nothing here, or anywhere in the page, reads markup from a string.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element of a name with its classes, as in `el("p.quiet.note", {title: "…"}, "text", …)`.
 *
 * Of the attributes, `on…` are listeners; what is undefined, null or false is left out. Without any the children follow.
 */
export function el(name, ...rest) {
  return made(name, rest, (tag) => document.createElement(tag));
}

/** The same for SVG. */
export function svg(name, ...rest) {
  return made(name, rest, (tag) => document.createElementNS(SVG, tag));
}

function made(name, [first, ...rest], create) {
  const [tag, ...classes] = name.split(".");
  const element = create(tag);
  element.classList.add(...classes);
  const given = first?.constructor === Object;
  for (const [attribute, value] of Object.entries(given ? first : {})) {
    if (value == null || value === false) continue;
    if (attribute.startsWith("on")) element.addEventListener(attribute.slice(2), value);
    else element.setAttribute(attribute, value === true ? "" : String(value));
  }
  return given ? put(element, rest) : put(element, first, rest);
}

/** Add children; what is missing (null, undefined, false) is left out, lists are taken apart. */
export function put(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child == null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** Put these children in the place of all that were there. */
export function refill(element, ...children) {
  element.replaceChildren();
  return put(element, ...children);
}

/** Write a text only where it differs, so that a live region speaks once. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A list to choose from; its `options` are a value, its words, and attributes where it needs any. */
export function choice(label, options, onchange) {
  return el("select", { "aria-label": label, onchange }, options.map(([value, text, more]) => el("option", { value, ...more }, text)));
}

/** A small mark with its meaning in words. */
export function badge(text, why) {
  return el("span.badge", { title: why }, text);
}

const still = matchMedia("(prefers-reduced-motion: reduce)");
const GLIDE_MS = 220;
let changed = -GLIDE_MS;

/**
 * Change the order of children by `change` and let each glide from where it was.
 *
 * At once where motion is unwanted, or nobody could follow it: while the last change would still glide.
 */
export function glide(parent, change) {
  const quick = performance.now() - changed < GLIDE_MS;
  changed = performance.now();
  if (quick) for (const running of parent.getAnimations({ subtree: true })) running.cancel();
  if (quick || still.matches) return change();
  const top = (child) => child.getBoundingClientRect().top;
  const before = [...parent.children].map((child) => [child, top(child)]);
  change();
  const moves = before.map(([child, was]) => [child, was - top(child)]);
  for (const [child, distance] of moves) {
    if (!child.isConnected || Math.abs(distance) <= 1) continue;
    child.animate([{ transform: `translateY(${distance}px)` }, { transform: "none" }], { duration: GLIDE_MS, easing: "ease-out" });
  }
}
