// The form that takes a token, where the service wants one: for this tab, or kept until the browser is closed.

import { SESSION, bearer } from "./who.js";
import { el, refill, write } from "./dom.js";
import { styled } from "./styled.js";

await styled(new URL("sign.css", import.meta.url));

const WRONG = "This token opens nothing: it is mistyped, revoked or has expired.";

/** Ask for a token, once the service has refused to answer; the one that was tried is said to be wrong. */
export function askToken(page) {
  const form = document.getElementById("token");
  const field = el("input", { id: "token-field", type: "password", autocomplete: "off", required: true });
  const keep = el("input", { type: "checkbox" });
  const trouble = el("p.trouble", { role: "alert" });
  const refuse = (why) => {
    write(trouble, why);
    field.select();
  };
  refill(
    form,
    el("label", { for: "token-field" }, "This service answers only with a token (scope: read)"), field,
    el("label", keep, " keep me signed in until this browser is closed"),
    el("button", "Sign in"), trouble,
    el("p.quiet", "Without that the token stays in this tab's memory. With it, it lies in a cookie that is sent to this service alone and that no script can read."),
  );
  form.hidden = false;
  field.focus();
  if (page.api.token) refuse(WRONG);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const token = field.value.trim();
    if (!/^[!-~]+$/.test(token)) return refuse("A token is made of letters, digits and signs without spaces; look at what was pasted.");
    if (keep.checked) {
      const answer = await fetch(SESSION, { method: "POST", headers: bearer(token) }).catch(() => null);
      if (!answer?.ok) return refuse(answer?.status === 401 ? WRONG : "The service does not answer just now; try again.");
    }
    page.api.token = keep.checked ? null : token;
    page.start();
  };
}
