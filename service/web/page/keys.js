// What keys do anywhere on the page, unless something is being typed.

const TYPED = "input, select, textarea, pre, dialog";
const PRESSED = "button, a, summary";
/** On many layouts these are had with AltGr or Option only, so that Alt, with Control or without, says nothing. */
const SIGNS = ["[", "]", "/"];

/** Have keys do what `does` says of them by name; each gets the event. `search` is had by `Ctrl-K` also while typing. */
export function listen(does, search) {
  addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey, altKey, target } = event;
    const wanted = () => {
      if ((ctrlKey || metaKey) && !altKey && key.toLowerCase() === "k") return search;
      if (target.closest(TYPED) || metaKey || ((ctrlKey || altKey) && !(altKey && SIGNS.includes(key)))) return null;
      if (key === " " && target.closest(PRESSED)) return null;
      return does[key];
    };
    const doing = wanted();
    if (doing && doing(event) !== false) event.preventDefault();
  });
}
