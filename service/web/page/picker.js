// Asks for a date and a time of day in the reader's own zone, and says which moment that is: the page tells all times in UTC.

import { el, write } from "./dom.js";
import { styled } from "./styled.js";
import { date, exactTime } from "./format.js";

await styled(new URL("picker.css", import.meta.url));

const AHEAD = "That time is yet to come: this is the board as it is now.";

/** What was learnt last by a moment on our own clock. */
const LEARNT = `query Learnt($productId: ID, $recorded: Window!) {
  events(productId: $productId, filter: {recorded: $recorded}, last: 1) { nodes { position occurredAt recordedAt summary } }
}`;

/** How far the reader's zone is from UTC at a moment: `GMT+1`. */
function offset(at) {
  return new Intl.DateTimeFormat("en-GB", { timeZoneName: "shortOffset" }).formatToParts(at).find(({ type }) => type === "timeZoneName").value;
}

/** A moment as a field for dates takes it. */
function local(at) {
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** Return the moment that is chosen, in milliseconds, or null where none is; `at` is offered. */
export function pick(title, at) {
  // Asked each time: a page that stays open travels along.
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  // Where clocks are put back an hour comes twice, and a field knows the first alone: what is offered is itself.
  const chosen = () => (field.value === offered ? at : new Date(field.value).getTime());
  const tell = () => write(told, Number.isNaN(chosen()) ? "" : `${offset(chosen())}: ${date(chosen())}, ${exactTime(chosen())} UTC`);
  const told = el("p.quiet", { id: "picked", role: "status" });
  const field = el("input", { type: "datetime-local", step: 1, required: true, value: local(at), "aria-describedby": "picked", oninput: tell });
  const offered = field.value;
  tell();
  return new Promise((done) => {
    const close = (value) => dialog.close(value);
    const dialog = el(
      "dialog.picker", { "aria-labelledby": "picking", closedby: "any" },
      el(
        "form", { onsubmit: (event) => close(String(chosen()), event.preventDefault()) },
        el("h2", { id: "picking" }, title),
        el("label", `Date and time in ${timeZone}`, field), told,
        el("div", el("button.main", "Go"), el("button", { type: "button", onclick: () => close("") }, "Cancel")),
      ),
    );
    dialog.onclose = () => {
      dialog.remove();
      done(dialog.returnValue ? Number(dialog.returnValue) : null);
    };
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Ask for a moment and show the board as it was then; on our own clock, as it was by what had been learnt. */
export async function visit(page, shown) {
  const at = await pick("Show the board as it was", shown.at);
  if (at === null) return;
  if (at >= page.extent.to) {
    page.live();
    for (const place of [page.bar.said, document.getElementById("announcer")]) write(place, AHEAD);
    return;
  }
  if (shown.moment.clock === "OCCURRED") return page.move("travel", { occurredAt: new Date(at).toISOString() });
  const { data } = await page.api.ask(LEARNT, { productId: page.product, recorded: { to: new Date(at + 1).toISOString() } });
  const [event] = data.events.nodes;
  if (event) page.move("travel", event);
  else write(page.bar.said, "Nothing had been learnt by then.");
}
