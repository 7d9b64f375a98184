// How far the service has got: projections, what came in, what asked Sleekplan's API, drift, and what is told to others.

import { badge, el, refill } from "../dom.js";
import { styled } from "../styled.js";
import { Frame, nameOfItem } from "../panel.js";
import { Reactions } from "../operating/reactions.js";
import { SWEEP, sweep } from "../operating/sweeps.js";
import { nameOfField } from "../text.js";
import { date, dateTime, number, plural, signed } from "../format.js";
import { length } from "../length.js";

/** How far everything has got. */
const PROJECTIONS = `query Projections($productId: ID, $sweeps: Int!) {
  projections {
    name state position head lagEvents lagSeconds ratePerSecond etaSeconds parked rebuildProgress lastError
  }
  sweeps(first: $sweeps, productId: $productId) {${SWEEP}
  }
  ingest(productId: $productId) { knownSince backfilledAt lastEventAt eventsLastHour duplicatesDropped quarantined quietAlarm }
  drift(first: 10, productId: $productId) { item { sleekplanId productId title } field ours theirs likelyCause }
}`;

await styled(new URL("projections.css", import.meta.url));

const EVERY_MS = 2_000;
const SWEEPS = 3;
const TROUBLE = ["FAILED", "STUCK"];
/** A projection that is LIVE holds all that the log does; on the page that word is the moment's alone. */
const stateOf = (state) => state === "LIVE" ? "current" : String(state).toLowerCase().replaceAll("_", " ");

export default class Projections {
  #timer = 0;
  #said = "";

  constructor(root, page) {
    this.page = page;
    this.frame = new Frame(root, "Projections", page.api);
    this.frame.fill((this.state = el("div")), (this.drift = el("div")));
    this.reactions = new Reactions(page);
    root.append(this.reactions.element);
  }

  /** Look again every two seconds while shown. */
  visible(is) {
    clearInterval(this.#timer);
    if (!is) return;
    this.#timer = setInterval(() => document.hidden || this.show(), EVERY_MS);
  }

  async show() {
    this.reactions.show();
    try {
      const data = await this.frame.ask(PROJECTIONS, { productId: this.page.product, sweeps: SWEEPS });
      if (data) this.#draw(data);
    } catch (error) {
      this.page.failed(error);
    }
  }

  #draw({ projections, sweeps, ingest, drift }) {
    refill(this.state,
      el("ul.projections", projections?.map(row)),
      ingest && el("dl.ingest", facts(ingest)),
      sweeps?.length ? [el("h3", "Asked of Sleekplan"), el("ul.projections.sweeps", sweeps.map(sweep))] : null,
      el("h3", "Totals that no event explains"),
    );
    // Drawn anew only where it differs: the focus may be in it.
    const said = JSON.stringify(drift);
    if (said === this.#said) return;
    this.#said = said;
    refill(this.drift, drift?.length
      ? el("ul.differences", drift.map((each) => this.#drift(each)))
      : el("p.quiet", "None: the votes seen add up to Sleekplan's totals."));
  }

  #drift({ item, field, ours, theirs, likelyCause }) {
    return el(
      "li",
      item ? nameOfItem(item, this.page) : "An item",
      ` ${nameOfField(field)}: ${number(ours)} seen, ${number(theirs)} by Sleekplan (${signed(theirs - ours)}) `,
      badge("inferred", likelyCause ?? "Concluded from Sleekplan's totals"),
    );
  }
}

function row({ name, state, position, head, lagEvents, lagSeconds, ratePerSecond, etaSeconds, parked, rebuildProgress, lastError }) {
  const share = rebuildProgress ?? (head ? Math.min(1, position / head) : 1);
  return el(
    "li",
    el("strong", name), el(TROUBLE.includes(state) ? "span.trouble" : "span", stateOf(state)),
    el("span.quiet", lagEvents ? `${plural(lagEvents, "event")} behind, ${length(lagSeconds ?? 0)}` : "up to the head"),
    ratePerSecond && (lagEvents || rebuildProgress !== null) ? el("span.quiet", `${number(Math.round(ratePerSecond))} events/s`) : null,
    etaSeconds > 0 && el("span.quiet", `${length(etaSeconds)} left`),
    rebuildProgress !== null && el("span", `rebuilt to ${Math.floor(share * 100)} %`),
    parked ? el("span.trouble", `${plural(parked, "event")} parked`) : null,
    lastError && el("span.trouble", lastError),
    el("span.figure", `${number(position)} of ${number(head)}`),
    el("progress", { max: 1, value: share, "aria-label": `${name}: ${Math.floor(share * 100)} %` }),
  );
}

function facts({ knownSince, backfilledAt, lastEventAt, eventsLastHour, duplicatesDropped, quarantined, quietAlarm }) {
  const said = {
    "history known since": knownSince ? date(knownSince) : "–",
    "of before": backfilledAt ? `what stood on ${date(backfilledAt)}` : "nothing",
    "last event": lastEventAt ? `${dateTime(lastEventAt)} UTC` : "none yet",
    "in the last hour": number(eventsLastHour), "duplicates dropped": number(duplicatesDropped), quarantined: number(quarantined),
  };
  return [
    Object.entries(said).map(([name, value]) => el("div", el("dt", name), el("dd", value))),
    quietAlarm && el("p.trouble", "Unusually quiet: is the webhook still saved at Sleekplan?"),
  ];
}
