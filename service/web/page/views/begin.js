// An empty board: the address to give to Sleekplan, a delivery to try it with, and the board of before, where it can be fetched.

import { el, refill, write } from "../dom.js";
import { styled } from "../styled.js";
import { Unreachable } from "../graphql.js";
import { ROOT } from "../address.js";
import { number, plural } from "../format.js";
import { reaching } from "../scopes.js";

/** What can be done to begin, which is for who may administer. */
const SETUP = `query Setup { setup { canBackfill backfillProducts } }`;
const KEY = `mutation Key { webhookKey { key } }`;
const FETCH = `mutation Fetch($productId: ID) { backfill(productId: $productId) { started userErrors { message } } }`;
const FETCHED = `query Fetched { sweeps(first: 1) { state requests problem } }`;
const COUNTED = `query Counted { projections { position head rebuildProgress etaSeconds } }`;
const DISCARD = `mutation Discard($id: ID!) { quarantineDiscard(id: $id) { discarded } }`;

const EVERY_MS = 1_000;
const HERE = ["localhost", "127.0.0.1", "[::1]"];

await styled(new URL("begin.css", import.meta.url));

/** An answer, or what stands for it to who may not have it; where none comes, it is asked again. */
const allowed = (asking, without) => asking.catch((error) => {
  if (error instanceof Unreachable) throw error;
  return { data: without };
});

/** Say how to begin; the first event makes it the board. */
export async function begin(page) {
  page.begun?.end();
  document.body.classList.add("waiting");
  const begun = (page.begun = new Begin(page));
  document.getElementById("notice").after(begun.element);
  const restart = () => page.begun === begun && page.restart();
  page.follow(restart, restart);
  await begun.show();
  document.body.dataset.ready = "true";
}

class Begin {
  #key = null;
  #timer = 0;

  constructor(page) {
    this.page = page;
    this.api = reaching(page.api, "read+admin");
    this.element = el("section.begin", { id: "begin", "aria-label": "How to begin" });
  }

  /** Draw it for who looks: `setup` is null for those who may not administer. */
  async show() {
    const counting = await this.#counting();
    if (this.page.begun !== this) return;
    if (counting) {
      this.#timer = setInterval(() => this.#counting().catch(() => {}), EVERY_MS);
      return;
    }
    const { data } = await allowed(this.api.ask(SETUP), { setup: null });
    const { setup } = data;
    refill(
      this.element,
      el("h2", "Nothing has come yet"),
      el("p", "Sleekplan tells what happens on a board from the moment that it knows where to. With the first event this page becomes the board."),
      el("ol", el("li", this.#address(setup)), el("li", this.#trial(setup)), el("li", this.#before(setup))),
    );
  }

  /** Stop looking. */
  end() {
    this.page.begun = null;
    clearInterval(this.#timer);
    this.element.remove();
  }

  /** Whether much is recorded and nothing counted yet, as after a backup was restored; then that is what is told. */
  async #counting() {
    const { data } = await allowed(this.page.api.ask(COUNTED), { projections: [] });
    const [waiting] = data.projections.filter(({ position, head }) => head && !position);
    if (!waiting) return false;
    const { head, rebuildProgress: value, etaSeconds: rest } = waiting;
    if (!this.counted) {
      this.counted = [el("progress", { "aria-label": "How much is counted" }), el("p.quiet", { role: "status" })];
      refill(
        this.element,
        el("h2", "The board is being counted"),
        el("p", `The log has ${plural(head, "event")}. Once all are counted, this page becomes the board.`),
        ...this.counted,
      );
    }
    const [bar, said] = this.counted;
    if (value !== null) bar.value = value;
    write(said, value && rest ? `${number(Math.round(value * head))} so far, about ${plural(Math.ceil(rest), "second")} more.` : "It begins.");
    return true;
  }

  #url(key) {
    return `${new URL("webhooks", ROOT)}?key=${key === null ? "…" : encodeURIComponent(key)}`;
  }

  /** The key that the service made, asked for once; an empty text where it has made none. */
  async #known() {
    this.#key ??= (await this.api.ask(KEY)).data.webhookKey.key ?? "";
    return this.#key || null;
  }

  #address(setup) {
    const address = el("input", { readonly: true, value: this.#url(null), "aria-label": "The webhook's address", onfocus: () => address.select() });
    const said = el("p.quiet", { role: "status" });
    const whole = async () => {
      const key = setup && await this.#known();
      if (!key) write(said, setup ? OWN : FOR_OTHERS);
      return this.#url(key || null);
    };
    const show = async () => {
      address.value = await whole();
      this.given.value = this.#key ?? "";
    };
    const copy = async () => {
      const url = await whole();
      const done = await navigator.clipboard?.writeText(url).then(() => true, () => false);
      if (!done) address.value = url;
      if (this.#key) write(said, done ? "Copied, with its key." : "It is shown: copy it from there.");
    };
    const told = (does) => () => does().catch((error) => write(said, error.message));
    return [
      el("h3", "Have Sleekplan tell it"),
      el("p", "In Sleekplan, open Settings, Integrations, Webhooks, and enter this address:"),
      el("div.address", address, el("button", { onclick: told(copy) }, "Copy"), setup && el("button.quiet", { onclick: told(show) }, "Show the key")),
      HERE.includes(location.hostname) && el("p.quiet", `This is how this machine sees it. Sleekplan needs it as the world does: through a proxy with a certificate, or a tunnel.`),
      said,
    ];
  }

  #trial(setup) {
    const said = el("p", { role: "status" });
    this.given = el("input", { type: "password", autocomplete: "off", "aria-label": "Key of the webhook", placeholder: "the key, where it is none of ours" });
    const send = async () => {
      const key = this.given.value.trim() || (setup && await this.#known());
      if (!key) return write(said, "Enter the key that Sleekplan has.");
      const body = JSON.stringify({ test: "sent by the page of this very service, no event", at: new Date().toISOString() });
      const answer = await fetch(this.#url(key), { method: "POST", body }).catch(() => null);
      write(said, await this.#came(answer, setup));
    };
    return [
      el("h3", "Try it"),
      el("p", "A delivery goes the way that Sleekplan's go. It is no event on purpose, so that nothing made up gets into the log."),
      el("div.address", el("button", { onclick: () => send().catch((error) => write(said, error.message)) }, "Send a test delivery"), this.given),
      said,
    ];
  }

  /** What became of the test, in words; where that is possible it is closed again. */
  async #came(answer, setup) {
    if (!answer) return "It did not arrive: the service does not answer.";
    if (answer.status === 401) return "It arrived, and its key opens nothing.";
    if (answer.status !== 202) return `It was answered ${answer.status}, which is not what a test gets: the log of the service, or of what stands in front of it, says more.`;
    const { quarantined } = await answer.json();
    const closed = setup && await this.api.ask(DISCARD, { id: quarantined }).then(({ data }) => data.quarantineDiscard.discarded, () => false);
    return `It arrived, and its key opens. ${closed ? "The test was put aside again." : "It lies in the quarantine, as what is no event does."}`;
  }

  #before(setup) {
    const title = el("h3", "Fetch what was there before");
    if (!setup?.canBackfill) {
      return [title, el("p", "Sleekplan tells nothing of what was before. With a key of its API (", el("code", "RECOUNT_SLEEKPLAN_API_KEY"), ") Recount fetches what still stands.")];
    }
    const said = el("p", { role: "status" });
    const [bound] = setup.backfillProducts;
    const product = el("input", { inputmode: "numeric", value: bound ?? "", "aria-label": "Number of the product", placeholder: "the product's number" });
    const fetchIt = async () => {
      const { data } = await this.api.ask(FETCH, { productId: product.value.trim() || null }).catch((error) => ({ data: { backfill: { userErrors: [error] } } }));
      const [wrong] = data.backfill.userErrors;
      if (wrong) return write(said, wrong.message);
      write(said, "It has begun.");
      clearInterval(this.#timer);
      this.#timer = setInterval(() => this.#follow(said), EVERY_MS);
    };
    return [
      title, el("p", "What stands on the board now is fetched by Sleekplan's API, each thing at its own date."),
      el("div.address", el("button", { onclick: fetchIt }, "Fetch the board"), product), said,
    ];
  }

  async #follow(said) {
    const { data } = await this.api.ask(FETCHED).catch(() => ({ data: { sweeps: [] } }));
    const [sweep] = data.sweeps;
    if (sweep) write(said, sweep.problem ?? `${sweep.requests} requests so far.`);
  }
}

const OWN = "The keys of this service were given to it, and it knows their digests alone: put the key of RECOUNT_WEBHOOK_KEYS, or of recount keys add, for the …";
const FOR_OTHERS = "The key is shown to those who may administer this service: ask them for the whole address.";
