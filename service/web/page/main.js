// Joins the parts: one moment, shown by a bar and by panels, and a live connection that is kept apart from it.

import { Api, Refused, Unauthenticated, Unreachable } from "./graphql.js";
import { DENSITY, LIVE_EVENTS, MARKS, NEWEST } from "./queries.js";
import { LIVE, fromAddress, past, toAddress } from "./moment.js";
import { Board, WINDOWS } from "./board.js";
import { Changes } from "./changes.js";
import { Feed } from "./feed.js";
import { Follower } from "./socket.js";
import { ItemView } from "./item.js";
import { Player, Steps } from "./player.js";
import { Projections } from "./projections.js";
import { TimeBar } from "./timebar.js";
import { choice, el, put, refill, write } from "./dom.js";
import { longDate, number, plural, time } from "./format.js";

const SETTLE_MS = 180;
const REFRESH_MS = 700;
const MARK_PAGES = 8;
const VIEWS = { board: "Board", item: "Item", changes: "What changed", feed: "Live", projections: "Projections" };
const WIDE = matchMedia("(min-width: 66rem)");

const $ = (id) => document.getElementById(id);
const endpoint = new URL("graphql?scopes=read", document.baseURI);
const socketEndpoint = Object.assign(new URL(endpoint), { protocol: endpoint.protocol.replace("http", "ws") });

class Page {
  #settling = 0;
  #refreshing = 0;

  constructor() {
    const said = fromAddress(location.search);
    this.api = new Api(endpoint);
    this.#tabs();
    Object.assign(this, { moment: said.moment, item: said.item, product: said.product, looked: looked() });
    this.view = said.view in VIEWS ? said.view : this.#first();
    this.window = said.window in WINDOWS ? said.window : "P30D";
    this.since = said.since ?? (this.looked ? "look" : "week");
    this.board = new Board($("board"), this);
    this.itemView = new ItemView($("item"), this);
    this.changes = new Changes($("changes"), this);
    this.feed = new Feed($("feed"), this);
    this.projections = new Projections($("projections"), this);
    this.player = new Player(this);
    this.bar = new TimeBar($("bar"), this);
    this.#keys();
  }

  async start() {
    try {
      await this.#load();
    } catch (error) {
      return this.#stumble(error);
    }
    $("token").hidden = true;
    document.body.classList.remove("waiting");
    this.steps = new Steps(this.api, this.product);
    this.bar.setClock(this.moment.clock);
    this.follower = new Follower({
      endpoint: socketEndpoint, document: LIVE_EVENTS, variables: { productId: this.product }, token: () => this.api.token,
      onevent: (event) => this.#happened(event), onstate: (state, why) => this.#connection(state, why),
    });
    this.follower.start(this.extent.head);
    this.show(this.view);
    await this.go(this.moment, { settled: true });
    looked(this.extent.head);
  }

  async #load() {
    const { product: productId } = this;
    const [{ data: { eventSeries: days, products } }, newest] = await Promise.all([
      this.api.ask(DENSITY, { productId }), this.api.ask(NEWEST, { productId, last: 60 }),
    ]);
    this.#offer(products);
    const events = newest.data.events.nodes;
    const times = events.map(({ occurredAt }) => Date.parse(occurredAt));
    this.extent = { from: Date.parse(days[0]?.t) || Date.now(), to: Math.max(...times), head: newest.position };
    if (!events.length) this.extent.to = Date.now();
    this.feed.begin(newest.data.news.nodes);
    this.feed.at(this.extent.head);
    this.bar.load(this.extent, days, []);
    this.#mark(productId, days);
  }

  /** Offer the products, where there are several. */
  #offer(products) {
    const options = products.map(({ sleekplanId: id }) => [id, `product ${id}`]);
    const select = choice("Product", [["", "all products"], ...options], () => {
      this.player.stop();
      this.follower.stop();
      Object.assign(this, { product: select.value || undefined, item: null });
      this.bar.axis = null;
      this.start();
    });
    select.value = this.product ?? "";
    refill($("product"), products.length > 1 && select);
  }

  /** Mark what stands out on the bar; the page works before this is there, and without. */
  async #mark(productId, days) {
    let [marks, after, more] = [[], null, true];
    for (let page = 0; more && page < MARK_PAGES; page++) {
      const answer = await this.api.ask(MARKS, { productId, after }).catch(() => null);
      if (productId !== this.product) return;
      const { nodes, pageInfo } = answer?.data.events ?? { nodes: [], pageInfo: {} };
      marks = [...marks, ...nodes];
      [after, more] = [pageInfo.endCursor, pageInfo.hasNextPage];
      this.bar.load(this.extent, days, marks);
    }
    this.board.warm({ ...this.#shown(), moment: this.#now() });
    document.body.dataset.ready = "true";
  }

  #stumble(error) {
    if (error instanceof Unauthenticated) {
      $("token").hidden = false;
      $("token-field").focus();
      $("token").onsubmit = (event) => {
        event.preventDefault();
        this.api.token = $("token-field").value;
        this.start();
      };
      return write($("connection"), "A token is needed.");
    }
    write($("connection"), error.message);
    if (error instanceof Unreachable) setTimeout(() => this.start(), 2_000);
    else if (!(error instanceof Refused)) throw error;
  }

  // The moment

  /** Show a moment; true once the board has it. `settled` says that the hand is off the bar. */
  async go(moment, { settled = false, events = [] } = {}) {
    const asked = performance.now();
    this.moment = moment;
    this.bar.show(moment, events);
    clearTimeout(this.#settling);
    this.moving = !settled;
    this.asking = moment;
    const shown = await this.#attempt(this.board, { ...this.#shown(), moving: this.moving });
    if (this.asking === moment) this.asking = null;
    if (shown) performance.measure("recount:step", { start: asked });
    if (this.moment === moment) this.#settling = setTimeout(() => this.#settle(), settled ? 0 : SETTLE_MS);
    return shown;
  }

  #shown() {
    const { moment, window, item, since } = this;
    return { moment, window, item, since, at: this.bar.happened(moment) };
  }

  async #attempt(panel, shown) {
    try {
      return await panel.show(shown);
    } catch (error) {
      panel.frame.say(error);
      if (!(error instanceof Refused)) throw error;
      return false;
    }
  }

  /** What can wait until the moment stands still: the other panels, the address, a word to screen readers. */
  #settle() {
    const shown = this.#shown();
    if (this.moving) this.#attempt(this.board, shown);
    this.moving = false;
    const panel = { item: this.itemView, changes: this.changes }[this.view];
    if (panel) this.#attempt(panel, shown);
    history.replaceState(null, "", this.#address(this.moment));
    const { moment } = this;
    if (moment.live || this.player.playing) return;
    const first = $("board").querySelector("button.title")?.textContent ?? "nothing";
    write($("announcer"), `${longDate(shown.at)}, ${time(shown.at)}. ${this.board.count.textContent}, first: ${first}`);
    if (!moment.time) this.#name(moment);
  }

  /** Learn when a position was recorded, and by what. */
  async #name(moment) {
    const found = await this.steps.from(moment, 0).catch(() => null);
    if (!found || this.moment !== moment) return;
    this.moment = found.moment;
    this.bar.show(found.moment, found.events);
    history.replaceState(null, "", this.#address(found.moment));
  }

  #address(moment) {
    const { view, item, window, since, product } = this;
    return toAddress(moment, {
      view: view !== this.#first() && view, item, product,
      window: window !== "P30D" && window, since: view === "changes" && since,
    });
  }

  /** Go one event on or back; says whether there was one. */
  async step(direction) {
    const from = this.moment.live ? this.#now() : this.moment;
    if (this.moment.live && direction > 0) return false;
    const found = await this.steps.from(from, direction).catch((error) => (this.board.frame.say(error), null));
    return found !== null && this.go(found.moment, { events: found.events });
  }

  /** Go along the axis by an amount of its own unit; reaching the end is being live again. */
  async advance(amount) {
    const { axis } = this.bar;
    const value = Math.max(axis.low, axis.valueOf(this.moment) + amount);
    if (value >= axis.high) {
      this.live();
      return false;
    }
    await this.go(axis.moment(value, this.moment.live ? this.extent.head : this.moment.position));
    return true;
  }

  #now() {
    const { head, to } = this.extent;
    return past(this.moment.clock, new Date(to).toISOString().replace("Z", "999Z"), head);
  }

  play() {
    if (this.player.playing) return this.player.stop();
    if (this.moment.live) {
      const { axis } = this.bar;
      this.go(axis.moment(Math.max(axis.low, axis.high - (axis.high - axis.low) / 3), this.extent.head));
    }
    this.player.start(this.bar.speed.value * this.bar.axis.day);
  }

  live() {
    this.player.stop();
    this.go({ ...LIVE, clock: this.moment.clock }, { settled: true });
  }

  /** Show the board as it was once an event had happened. */
  travel(event) {
    this.player.stop();
    const moment = this.moment.clock === "RECORDED"
      ? past("RECORDED", event.recordedAt ?? event.occurredAt, event.position)
      : past("OCCURRED", event.occurredAt, Math.max(this.moment.position ?? 0, this.extent.head));
    this.go(moment, { settled: true, events: event.summary ? [event] : [] });
  }

  /** Take the other clock, at the event that the moment shows last. */
  async setClock(clock) {
    this.player.stop();
    const found = this.moment.live ? null : await this.steps.from(this.moment, 0).catch(() => null);
    this.bar.setClock(clock);
    this.moment = { ...LIVE, clock };
    if (found) this.travel(found.events.at(-1));
    else this.live();
  }

  async copy() {
    const { href } = new URL(this.#address(this.moment.live ? this.#now() : this.moment), location.href);
    const done = await navigator.clipboard?.writeText(href).then(() => true, () => false);
    write(this.bar.said, done ? "Link copied: it answers the same for good." : href);
  }

  // Panels

  open(id) {
    this.item = id;
    this.board.mark(id);
    this.show(this.#first());
    if (id) $("item").focus({ preventScroll: WIDE.matches });
  }

  /** Take another window for gains, or another beginning for what changed. */
  change(part) {
    Object.assign(this, part);
    if (part.window) this.#attempt(this.board, this.#shown());
    this.#settle();
  }

  /** The view that an address without one means. */
  #first() {
    return this.item ? "item" : WIDE.matches ? "feed" : "board";
  }

  /** Show a view; where there is room the board stands beside it. */
  show(view) {
    this.view = view === "board" && WIDE.matches ? "feed" : view;
    for (const name of Object.keys(VIEWS)) {
      const chosen = name === this.view;
      const tab = $(`tab-${name}`);
      tab.ariaSelected = chosen;
      tab.tabIndex = chosen ? 0 : -1;
      $(name).hidden = !(chosen || (name === "board" && WIDE.matches));
    }
    this.projections.visible(this.view === "projections");
    this.#settle();
  }

  #tabs() {
    const names = Object.keys(VIEWS);
    put($("tabs"), names.map((name) => el("button", { role: "tab", id: `tab-${name}`, "aria-controls": name, onclick: () => this.show(name) }, VIEWS[name])));
    put(document.querySelector("main"), names.map((id) => el("section", { id, role: "tabpanel", "aria-labelledby": `tab-${id}`, tabindex: -1 })));
    $("tabs").addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      const shown = names.filter((name) => $(`tab-${name}`).offsetParent);
      const next = shown[(shown.indexOf(this.view) + by + shown.length) % shown.length];
      this.show(next);
      $(`tab-${next}`).focus();
    });
    WIDE.addEventListener("change", () => this.show(this.view));
  }

  #keys() {
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !this.bar.axis) return;
      if (event.target.closest("input, select, textarea, pre")) return;
      if (event.key === " " && event.target.closest("button, a, summary")) return;
      const arrow = (direction) => (event.shiftKey ? this.advance(direction * this.bar.axis.day) : this.step(direction));
      const does = {
        ArrowLeft: () => arrow(-1), ArrowRight: () => arrow(1), Home: () => this.advance(-Infinity), End: () => this.live(),
        "[": () => this.bar.jump(this.moment, -1), "]": () => this.bar.jump(this.moment, 1),
        Escape: () => this.item && this.open(null),
      };
      if (event.key === " ") this.play();
      else if (event.key in does) does[event.key](this.player.stop());
      else return;
      event.preventDefault();
    });
  }

  // What happens meanwhile

  #happened(event) {
    const { extent } = this;
    extent.head = event.position;
    extent.to = Math.max(extent.to, Date.parse(event.occurredAt));
    this.bar.extend(extent);
    this.feed.take(event);
    this.feed.at(event.position);
    this.#replayed(event.position);
    // The board follows at its own pace: many events are one look.
    this.#refreshing ||= setTimeout(() => {
      this.#refreshing = 0;
      this.bar.show(this.moment);
      if (!this.moment.live) return;
      this.#attempt(this.board, this.#shown());
      if (this.view === "item") this.#attempt(this.itemView, this.#shown());
    }, REFRESH_MS);
  }

  #connection(state, why) {
    document.body.dataset.connection = state;
    if (state === "refused") return write($("connection"), `Live updates were refused: ${why}`);
    if (state === "lost") {
      this.cutAt ??= this.follower.position;
      return write($("connection"), `Connection lost at position ${number(this.cutAt)}. Trying again …`);
    }
    if (state !== "open") return;
    if (this.cutAt === undefined) return write($("connection"), "Live");
    // Events are counted until the head is known, and so how much was missed.
    this.replay = { after: this.cutAt, until: null };
    this.cutAt = undefined;
    this.api.ask(NEWEST, { productId: this.product, last: 1 }).then(({ position }) => {
      if (this.replay) this.replay.until = position;
      this.#replayed(this.follower.position);
      if (this.moment.live) this.go(this.moment, { settled: true });
    }, () => {});
  }

  /** Once everything missed has come again, say how much it was. */
  #replayed(position) {
    const { after, until } = this.replay ?? {};
    if (!this.replay || until === null || position < until) return;
    this.replay = null;
    const text = `Connected again: resumed after position ${number(after)}, ${until > after ? plural(until - after, "event") : "nothing"} replayed.`;
    write($("connection"), text);
    this.feed.say(text);
  }
}

/** The position up to which this browser had looked, or, given one, now has. */
function looked(position) {
  try {
    if (position) localStorage.setItem("recount:looked", position);
    return Number(localStorage.getItem("recount:looked"));
  } catch {
    return 0; // A browser that keeps nothing shows a week instead.
  }
}

new Page().start();
