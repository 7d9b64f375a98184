// Who asks: the word at the top that says who is in, and lets them out again.

import { ROOT } from "./address.js";
import { el, refill } from "./dom.js";

export const SESSION = new URL("session", ROOT);

export const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

/** Say who is in, where anybody is. */
export async function tellWho(page) {
  const { token } = page.api;
  const answer = await fetch(SESSION, { headers: bearer(token) }).then((found) => found.json()).catch(() => ({}));
  const leave = async () => {
    const left = answer.by !== "cookie" || (await fetch(SESSION, { method: "DELETE" }).catch(() => null))?.ok;
    if (left) location.reload();
    else page.notice("You are still signed in: the service does not answer. Try again.");
  };
  const out = ["cookie", "token"].includes(answer.by) && el("button.quiet", { onclick: leave }, "Sign out");
  refill(document.getElementById("who"), answer.name ?? out);
}
