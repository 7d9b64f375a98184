// Makes elements. Text goes in as text: nothing here, or anywhere in the page, reads markup from a string.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `on…` members are listeners, `class`, `data-…`, `aria-…` and the like attributes, children nodes or text. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, ...children);
  return element;
}

/** Add children; what is missing (null, undefined, false) is left out, lists are taken apart. */
export function put(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
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

/** A small mark with its meaning in words. */
export function badge(text, why) {
  return el("span", { class: "badge", title: why }, text);
}

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Change the order of children by `change` and let each glide from where it was; at once where motion is unwanted. */
export function glide(parent, change) {
  if (still.matches) return change();
  const before = new Map([...parent.children].map((child) => [child, child.getBoundingClientRect().top]));
  change();
  const moves = [];
  for (const child of parent.children) {
    const distance = (before.get(child) ?? NaN) - child.getBoundingClientRect().top;
    if (Math.abs(distance) > 1) moves.push([child, distance]);
  }
  for (const [child, distance] of moves) {
    for (const running of child.getAnimations()) running.cancel();
    child.animate([{ transform: `translateY(${distance}px)` }, { transform: "none" }], { duration: 220, easing: "ease-out" });
  }
}
