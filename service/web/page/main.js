// Joins the parts: one moment, shown by a bar and by views, and a live connection that is kept apart from it.

import { Api, Refused, Unauthenticated, Unreachable } from "./graphql.js";
import { ROOT, naming, read, reference, write as addressOf } from "./address.js";
import { LIVE, past } from "./moment.js";
import { readExtent, readMarks } from "./extent.js";
import { Board, WINDOWS } from "./views/board.js";
import { Connection } from "./connection.js";
import { FIND } from "./finder.js";
import { Player } from "./player.js";
import { Tabs, WIDE } from "./tabs.js";
import { TimeBar } from "./timebar.js";
import { choice, refill, write } from "./dom.js";
import { listen } from "./keys.js";
import { longDate, time } from "./format.js";

const SETTLE_MS = 180;
const REFRESH_MS = 700;
const NEWS_MOST = 200;
/** What an address says of a question beside the moment. */
const ASK = ["over", "metric", "top", "counted", "span"];
const VIEWS = { board: "Board", item: "Item", changes: "Changes", ask: "Ask", feed: "Feed", projections: "Projections" };
/** An item as addresses named it before they had paths. */
const NAMED = "query Named($id: ID!) { item(id: $id) { sleekplanId productId } }";

const $ = (id) => document.getElementById(id);

/**
 * What views are given: `api` and `product` to ask with, `reference(item)` and `open(reference)` for items, `travel(event)`
 * for moments, and `change(part)` for what else an address says. A view has `show(shown)`, and `visible(is)` where it
 * wants to know; what it is loaded for is the view that an address names.
 */
class Page {
  #settling = 0;
  #refreshing = 0;
  #views = new Map();
  #steps = null;
  #presented = [];
  #push = false;
  #opener = null;

  constructor() {
    this.api = new Api(new URL("graphql?scopes=read", ROOT));
    this.looked = looked();
    this.tabs = new Tabs($("tabs"), document.querySelector("main"), VIEWS, (name) => this.show(name, { push: true }));
    this.#take(read(location));
    this.board = new Board($("board"), this);
    this.#views.set("board", this.board);
    this.player = new Player(this);
    this.bar = new TimeBar($("bar"), this);
    this.#keys();
    WIDE.addEventListener("change", () => this.show(this.view));
    addEventListener("popstate", () => this.#return());
  }

  /** Take what an address says. */
  #take({ moment, view, item, question, opaque, product, window, since, problem, ...said }) {
    const some = (names) => Object.fromEntries(names.filter((name) => said[name]).map((name) => [name, said[name]]));
    Object.assign(this, { moment, opaque, product, item, question, find: some(FIND), ask: some(ASK) });
    this.view = view in VIEWS ? view : "board";
    this.window = window in WINDOWS ? window : "P30D";
    this.since = since ?? (this.looked ? "look" : "week");
    write($("notice"), problem ?? "");
  }

  async start() {
    try {
      await this.#load();
    } catch (error) {
      return this.#stumble(error);
    }
    $("token").hidden = true;
    document.body.classList.remove("waiting");
    this.#steps = null;
    this.bar.setClock(this.moment.clock);
    this.connection = new Connection({
      api: this.api, product: this.product, place: $("connection"),
      onevent: (event) => this.#happened(event), onback: () => this.moment.live && this.go(this.moment, { settled: true }),
    });
    this.connection.start(this.extent.head);
    this.show(this.view);
    await this.go(this.moment, { settled: true });
    looked(this.extent.head);
  }

  async #load() {
    const { product } = this;
    const { extent, products, news } = await readExtent(this.api, product);
    Object.assign(this, { extent, news, several: products.length > 1 && !product });
    this.#offer(products);
    if (this.opaque) await this.#find(this.opaque);
    if (!this.moment.live && !this.moment.position) this.moment = past(this.moment.clock, this.moment.time, extent.head);
    this.#views.get("feed")?.begin(news);
    this.bar.load(extent, []);
    readMarks(this.api, product, (marks) => {
      if (product === this.product) this.bar.load(extent, marks);
      return product === this.product;
    }).then(() => {
      this.board.warm({ ...this.#shown(), moment: this.#now() });
      this.board.learn();
      document.body.dataset.ready = "true";
    });
  }

  /** Take the item of an old link by its name of today. */
  async #find(id) {
    const { data } = await this.api.ask(NAMED, { id }).catch(() => ({ data: {} }));
    this.item = data.item ? this.reference(data.item) : null;
    if (!data.item) write($("notice"), `The address names the item ${id}, which nobody has heard of.`);
    this.opaque = undefined;
  }

  /** Offer the products, where there are several. */
  #offer(products) {
    const options = products.map(({ sleekplanId: id }) => [id, `product ${id}`]);
    const select = choice("Product", [["", "all products"], ...options], () => {
      Object.assign(this, { product: select.value || undefined, item: null, view: this.view === "item" ? "board" : this.view });
      this.#restart();
    });
    select.value = this.product ?? "";
    refill($("product"), products.length > 1 && select);
  }

  #restart() {
    this.player.stop();
    this.connection.stop();
    this.bar.axis = null;
    this.#presented = [];
    this.start();
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
    const { moment, window, item, since, find, question, ask } = this;
    return { moment, window, item, since, find, question, ask, at: this.bar.happened(moment) };
  }

  async #attempt(view, shown) {
    try {
      return await view.show?.(shown);
    } catch (error) {
      view.frame?.say(error);
      if (!(error instanceof Refused)) throw error;
      return false;
    }
  }

  /** Have the view beside the board show what is shown, unless it does. */
  #present() {
    const view = this.#views.get(this.tabs.chosen);
    const { moment, window, item, since, question, ask } = this;
    const asked = [view, moment, window, item, since, question, ask];
    if (!view || view === this.board || asked.every((each, i) => each === this.#presented[i])) return;
    this.#presented = asked;
    this.#attempt(view, this.#shown());
  }

  /** What can wait until the moment stands still: the other views, the address, a word to screen readers. */
  #settle() {
    const shown = this.#shown();
    if (this.moving) this.#attempt(this.board, shown);
    this.moving = false;
    this.#present();
    this.#note();
    const { moment } = this;
    if (moment.live || this.player.playing) return;
    const first = $("board").querySelector("button.title")?.textContent ?? "nothing";
    write($("announcer"), `${longDate(shown.at)}, ${time(shown.at)}. ${this.board.count.textContent}, first: ${first}`);
    if (!moment.time) this.#name(moment);
  }

  /** Learn when a position was recorded, and by what. */
  async #name(moment) {
    const found = await this.#beside(moment, 0).catch(() => null);
    if (!found || this.moment !== moment) return;
    this.moment = found.moment;
    this.bar.show(found.moment, found.events);
    this.#note();
  }

  /** Write the address of what is shown; what was opened or travelled to is an entry of its own. */
  #note() {
    const address = this.#address(this.moment);
    const method = this.#push && address !== location.pathname + location.search ? "pushState" : "replaceState";
    this.#push = false;
    history[method](null, "", address);
  }

  #address(moment) {
    const { view, item, question, window, since, product, find, ask } = this;
    return addressOf({
      view, item, question, moment, product, window: window !== "P30D" && window, since: view === "changes" && since,
      log: !moment.live && (moment.log ?? this.api.cursor),
      ...find, ...(view === "ask" && ask),
    });
  }

  /** Show what the address says once Back or Forward was pressed. */
  #return() {
    const { product, item } = this;
    this.player.stop();
    this.#take(read(location));
    if (product !== this.product || this.opaque) return this.#restart();
    if (!this.moment.live && !this.moment.position) this.moment = past(this.moment.clock, this.moment.time, this.extent.head);
    if (this.moment.clock !== this.bar.axis.clock) this.bar.setClock(this.moment.clock);
    this.board.mark(this.item);
    this.show(this.view);
    this.go(this.moment, { settled: true });
    if (item && !this.item) this.#refocus(item);
  }

  /** The events next to a moment; how to find them is loaded when it is first wanted. */
  async #beside(moment, direction) {
    const { Steps } = await import("./steps.js");
    this.#steps ??= new Steps(this.api, this.product);
    return this.#steps.from(moment, direction);
  }

  /** Go one event on or back; says whether there was one. */
  async step(direction) {
    const from = this.moment.live ? this.#now() : this.moment;
    if (this.moment.live && direction > 0) return false;
    const found = await this.#beside(from, direction).catch((error) => (this.board.frame.say(error), null));
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

  /** All that is known, as a moment that stays: on Sleekplan's clock after everything that has happened by then. */
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
    this.#push = true;
    this.go(moment, { settled: true, events: event.summary ? [event] : [] });
  }

  /** Take the other clock, at the event that the moment shows last. */
  async setClock(clock) {
    this.player.stop();
    const found = this.moment.live ? null : await this.#beside(this.moment, 0).catch(() => null);
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

  // Views

  /** An item as addresses name it. */
  reference(item) {
    return reference(item, this.several);
  }

  /** The arguments of `item` for a reference. */
  naming(reference) {
    return naming(reference, this.product);
  }

  /** Open an item, or with null close it. */
  open(item) {
    if (item) this.#opener = document.activeElement;
    const before = this.item;
    this.item = item;
    this.board.mark(item);
    this.show(item ? "item" : "board", { push: true });
    if (!item) return this.#refocus(before);
    const { panels } = this.tabs;
    panels.get("item").scrollTop = 0;
    panels.get("item").focus({ preventScroll: true });
    if (!WIDE.matches) panels.get("item").scrollIntoView();
  }

  /** Put the focus back to where the item was opened, so that reading goes on there. */
  #refocus(item) {
    if (this.#opener?.isConnected) this.#opener.focus();
    else this.board.focus(item);
    this.#opener = null;
  }

  /** Take another window for gains, another beginning for what changed, look for or ask something else; `push` is told by Back. */
  change(part, push = false) {
    Object.assign(this, part);
    this.#push ||= push;
    if (part.window || part.find) this.#attempt(this.board, this.#shown());
    this.#settle();
  }

  /** Show a view; where there is room the feed stands beside the board. */
  async show(view, { push = false } = {}) {
    this.view = view === "feed" && WIDE.matches ? "board" : view;
    const name = this.view === "board" && WIDE.matches ? "feed" : this.view;
    const before = this.tabs.chosen;
    this.tabs.choose(name);
    this.#push ||= push;
    this.#note();
    if (before !== name) this.#views.get(before)?.visible?.(false);
    if (!this.#views.has(name)) {
      const { default: View } = await import(`./views/${name}.js`);
      if (!this.#views.has(name)) this.#views.set(name, new View(this.tabs.panels.get(name), this));
    }
    if (this.tabs.chosen !== name) return;
    this.#views.get(name).visible?.(true);
    this.#present();
  }

  #keys() {
    const { bar } = this;
    const arrow = (direction) => ({ shiftKey }) => {
      this.player.stop();
      if (shiftKey) this.advance(direction * bar.axis.day);
      else this.step(direction);
    };
    const moving = (does) => (event) => bar.axis ? does(event) : false;
    listen({
      ArrowLeft: moving(arrow(-1)), ArrowRight: moving(arrow(1)), " ": moving(() => this.play()),
      Home: moving(() => { this.player.stop(); this.advance(-Infinity); }), End: moving(() => this.live()),
      "[": moving(() => bar.jump(this.moment, -1, this.player.stop())), "]": moving(() => bar.jump(this.moment, 1, this.player.stop())),
      Escape: () => this.item ? this.open(null) : false, "/": () => this.#search(),
    }, () => this.#search());
  }

  #search() {
    if (!WIDE.matches) this.show("board", { push: true });
    this.board.finder.focus();
  }

  // What happens meanwhile

  #happened(event) {
    this.extent.grow(event);
    this.bar.extend(this.extent);
    this.news = [...this.news.slice(1 - NEWS_MOST), event];
    this.#views.get("feed")?.take(event);
    // The board follows at its own pace: many events are one look.
    this.#refreshing ||= setTimeout(() => {
      this.#refreshing = 0;
      this.bar.show(this.moment);
      if (!this.moment.live) return;
      this.#attempt(this.board, this.#shown());
      if (this.view === "item" && this.#views.has("item")) this.#attempt(this.#views.get("item"), this.#shown());
    }, REFRESH_MS);
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
