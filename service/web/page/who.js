// Who asks: the word at the top that says who is in, and lets them out again.

import { ROOT } from "./address.js";
import { el, refill } from "./dom.js";

export const SESSION = new URL("session", ROOT);

export const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

/** Say who is in, where anybody is. */
export async function tellWho(page) {
  const { token } = page.api;
  const answer = await fetch(SESSION, { headers: bearer(token) }).then((found) => found.json(), () => ({}));
  const leave = async () => {
    if (answer.by === "cookie") await fetch(SESSION, { method: "DELETE" });
    location.reload();
  };
  const out = ["cookie", "token"].includes(answer.by) && el("button.quiet", { onclick: leave }, "Sign out");
  refill(document.getElementById("who"), answer.name ?? out);
}
