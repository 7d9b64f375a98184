// Joins the parts: one moment, shown by a bar and by views, and a live connection that is kept apart from it.

import { Api, Refused, Unauthenticated, Unreachable, part } from "./graphql.js";
import { ROOT, naming, read, reference, write as addressOf } from "./address.js";
import { LIVE, past } from "./moment.js";
import { readExtent } from "./extent.js";
import { Board, WINDOWS } from "./views/board.js";
import { Connection } from "./connection.js";
import { FIND } from "./finder.js";
import { Tabs, WIDE } from "./tabs.js";
import { TimeBar } from "./timebar.js";
import { DAY_MS } from "./axis.js";
import { el, refill, write } from "./dom.js";
import { listen } from "./keys.js";
import { brief, date } from "./format.js";

const SETTLE_MS = 180;
const REFRESH_MS = 700;
const NEWS_MOST = 200;
const MINUTE_MS = 60_000;
/** Whoever comes back within an hour, or in another tab, is still looking. */
const VISIT_MS = 60 * MINUTE_MS;
/** In the place of what plays, until it is loaded. */
const IDLE = { playing: false, stop() {} };
/** What an address says of a question beside the moment. */
const ASK = ["over", "metric", "top", "counted", "span"];
const VIEWS = { board: "Board", item: "Item", changes: "Changes", ask: "Ask", feed: "Feed", projections: "Projections" };

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
  #travels = null;
  #presented = [];
  push = false;
  #opener = null;
  #failed = 0;

  constructor() {
    this.api = new Api(new URL("graphql?scopes=read", ROOT));
    this.looked = looked();
    this.tabs = new Tabs($("tabs"), $("main"), VIEWS, (name) => this.show(name, { push: true }));
    this.#take(read(location));
    this.board = new Board($("board"), this);
    this.#views.set("board", this.board);
    this.player = IDLE;
    this.bar = new TimeBar($("bar"), this);
    this.#keys();
    WIDE.addEventListener("change", () => this.show(this.view));
    addEventListener("popstate", () => this.#return());
    // Now goes on by the clock, also where nothing happens; whoever does not look has it all at once on coming back.
    setInterval(() => this.#renew(true), MINUTE_MS);
    document.addEventListener("visibilitychange", () => this.#renew(true));
  }

  /** Take what an address says. */
  #take({ moment, view, item, question, opaque, product, window, since, problem, ...said }) {
    const some = (names) => Object.fromEntries(names.filter((name) => said[name]).map((name) => [name, said[name]]));
    Object.assign(this, { moment, opaque, product, item, question, find: some(FIND), ask: some(ASK) });
    this.view = view in VIEWS ? view : "board";
    this.window = window in WINDOWS ? window : "P30D";
    this.since = since ?? (this.looked ? "look" : "week");
    this.notice(history.state?.said ?? "");
    if (problem) this.#misread(...problem);
  }

  async start() {
    try {
      if (!(await this.#load())) return;
      $("token").hidden = true;
      import("./who.js").then(({ tellWho }) => tellWho(this));
      this.begun?.end();
      if (this.empty) return await (await part(import("./views/begin.js"))).begin(this);
      await this.bar.setClock(this.moment.clock);
    } catch (error) {
      return this.#stumble(error);
    }
    document.body.classList.remove("waiting");
    this.#presented = [];
    this.follow((event) => this.#happened(event), () => this.moment.live && this.go(this.moment, { settled: true }));
    this.show(this.view);
    await this.go(this.moment, { settled: true });
    looked(this.extent.head);
    (await part(import("./later.js"))).complete(this);
  }

  follow(onevent, onback) {
    this.connection?.stop();
    // Why it is refused may be told by an answer, too.
    const onrefused = () => this.#renew(true);
    this.connection = new Connection({ api: this.api, product: this.product, place: $("connection"), onevent, onback, onrefused });
    this.connection.start(this.extent.head, this.extent.cursor);
  }

  /** Read what there is; false where another product was chosen meanwhile, which is read then. */
  async #load() {
    const { product } = this;
    const { extent, products, news } = await readExtent(this.api, product);
    if (product !== this.product) return false;
    Object.assign(this, { extent, news, products, another: false, several: products.length > 1 && !product, empty: !products.length });
    if (products.length > 1) import("./products.js").then(({ offer }) => offer(this, $("product"), products));
    if (this.opaque) await this.move("find", this.opaque);
    if (this.opaque) throw new Unreachable("The service does not answer.");
    if (this.looked > extent.head) this.looked = 0; // It was another log.
    this.#pin();
    this.#views.get("feed")?.begin(news);
    this.bar.load(extent);
    return true;
  }

  /** Say something of the address as a whole. */
  notice(text) {
    write($("notice"), text);
  }

  #misread(...problem) {
    import("./misread.js").then(({ misread }) => misread(this, ...problem));
  }

  /** Believe a time alone by what is known today; what lies ahead of all that is known is refused in words. */
  #pin() {
    const { moment, extent } = this;
    const refused = moment.position > extent.head ? ["beyond", moment.position, extent.head]
      : moment.clock === "OCCURRED" && Date.parse(moment.time) > extent.to + DAY_MS ? ["ahead", moment.time] : null;
    if (refused) {
      this.#misread(...refused);
      this.moment = { ...LIVE, clock: moment.clock };
    } else if (!moment.live && !moment.position) this.moment = past(moment.clock, moment.time, extent.head);
  }

  restart() {
    this.player.stop();
    this.connection?.stop();
    this.bar.axis = null;
    // Other products have items of the same numbers: nothing of one is pressed as if it were the other's.
    document.body.classList.add("waiting");
    this.start();
  }

  #stumble(error) {
    if (error instanceof Unauthenticated) {
      write($("connection"), "A token is needed.");
      return import("./sign.js").then(({ askToken }) => askToken(this));
    }
    write($("connection"), error.message);
    if (error instanceof Unreachable) setTimeout(() => this.start(), 2_000);
    else if (!(error instanceof Refused)) throw error;
    else if (this.product) this.#misread("product", error);
  }

  // The moment

  /** Show a moment; true once the board has it. `settled` says that the hand is off the bar. */
  async go(moment, { settled = false, said = "" } = {}) {
    const asked = performance.now();
    this.moment = moment;
    this.bar.show(moment, said);
    clearTimeout(this.#settling);
    this.moving = !settled;
    this.asking = moment;
    const shown = await this.#attempt(this.board, { ...this.shown(), moving: this.moving });
    if (this.asking === moment) this.asking = null;
    if (shown) performance.measure("recount:step", { start: asked });
    if (this.moment === moment) this.#settling = setTimeout(() => this.#settle(), settled ? 0 : SETTLE_MS);
    return shown;
  }

  /** What views show. */
  shown() {
    const { moment, window, item, since, find, question, ask } = this;
    return { moment, window, item, since, find, question, ask, at: this.bar.happened(moment) };
  }

  async #attempt(view, shown) {
    try {
      const drawn = await view.show?.(shown);
      this.#entitle();
      return drawn;
    } catch (error) {
      this.failed(error);
      return false;
    }
  }

  /** Do what is to be done where a panel had no answer, which it has said itself: ask for a token, or ask again. */
  failed(error) {
    if (error instanceof Unauthenticated) $("token").hidden && this.#stumble(error);
    if (error instanceof Unreachable) this.#soon((this.#failed = 2_000));
    if (!(error instanceof Refused)) throw error;
  }

  /** Call the tab, and what is kept of it, by what is shown. */
  #entitle() {
    const { moment } = this;
    const what = this.#views.get(this.view)?.frame?.title.textContent ?? VIEWS[this.view];
    const title = `${brief(what, 80)}${moment.live ? "" : `, ${date(this.bar.happened(moment))}`} · Recount`;
    if (document.title !== title) document.title = title;
  }

  /** Have the view beside the board show what is shown, unless it does. */
  #present() {
    const view = this.#views.get(this.tabs.chosen);
    const { moment, window, item, since, question, ask } = this;
    const asked = [view, moment, window, item, since, question, ask];
    if (!view || view === this.board || asked.every((each, i) => each === this.#presented[i])) return;
    this.#presented = asked;
    this.#attempt(view, this.shown());
  }

  /** What can wait until the moment stands still: the other views, the address, a word to screen readers. */
  #settle() {
    const shown = this.shown();
    if (this.moving) this.#attempt(this.board, shown);
    this.moving = false;
    this.#present();
    this.note();
    if (!this.moment.live && !this.player.playing) this.move("tell", shown);
  }

  /** Write the address of what is shown; what was opened or travelled to is an entry of its own. */
  note() {
    const address = this.address();
    const push = this.push && address !== location.pathname + location.search;
    this.push = false;
    if (push) this.notice("");
    history[push ? "pushState" : "replaceState"](null, "", address);
  }

  /** The address of an item as of the moment. */
  link(item) {
    return this.address(this.moment, { ...this, view: "item", item });
  }

  address(moment = this.moment, { view, item, question, window, since, product, find, ask } = this) {
    return addressOf({
      view, item, question, moment, product, window: window !== "P30D" && window, since: view === "changes" && since,
      log: !moment.live && (moment.log ?? this.api.cursor),
      ...find, ...(view === "ask" && ask),
    });
  }

  /** Show what the address says once Back or Forward was pressed. */
  async #return() {
    const { product, item } = this;
    this.player.stop();
    this.#take(read(location));
    if (product !== this.product || this.opaque) return this.restart();
    if (!this.bar.axis) return; // It is shown once all is read.
    this.board.finder.search.value = this.find.search ?? ""; // Also where the focus is there.
    this.#pin();
    while (this.moment.clock !== this.bar.axis.clock) await this.bar.setClock(this.moment.clock);
    this.board.mark(this.item);
    this.show(this.view);
    this.go(this.moment, { settled: true });
    if (item && !this.item) this.#refocus(item);
  }

  /** Move the moment in one of the ways that are loaded once somebody does. */
  async move(how, ...by) {
    try {
      const { Travels } = await part(import("./travels.js"));
      this.#travels ??= new Travels(this);
      return await this.#travels[how](...by);
    } catch (error) {
      this.board.frame.say(error);
      this.failed(error);
    }
  }

  /** All that is known, as a moment that stays: on Sleekplan's clock after everything that has happened by then. */
  now() {
    const { head, to } = this.extent;
    return past(this.moment.clock, new Date(to).toISOString().replace("Z", "999Z"), head);
  }

  live() {
    this.player.stop();
    this.go({ ...LIVE, clock: this.moment.clock }, { settled: true });
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
  open(item, opener) {
    if (item) this.#opener = opener;
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
    this.push ||= push;
    const shown = (part.window || part.find) && this.#attempt(this.board, this.shown());
    this.#settle();
    return shown;
  }

  /** Show a view; where there is room the feed stands beside the board. */
  async show(view, { push = false } = {}) {
    this.view = view === "feed" && WIDE.matches ? "board" : view;
    const name = this.view === "board" && WIDE.matches ? "feed" : this.view;
    const before = this.tabs.chosen;
    this.tabs.choose(name);
    this.push ||= push;
    this.note();
    if (before !== name) {
      this.#views.get(before)?.visible?.(false);
      this.#presented = [];
    }
    if (!this.#views.has(name)) {
      const panel = this.tabs.panels.get(name);
      try {
        const { default: View } = await part(import(`./views/${name}.js`));
        if (!this.#views.has(name)) this.#views.set(name, new View(refill(panel), this));
      } catch (error) {
        refill(panel, el("p.trouble", error.message));
        return this.failed(error);
      }
    }
    if (this.tabs.chosen !== name) return;
    this.#views.get(name).visible?.(true);
    this.#present();
  }

  #keys() {
    const { bar } = this;
    const arrow = (direction) => ({ shiftKey }) => {
      this.player.stop();
      if (shiftKey) this.move("advance", direction * bar.axis.day);
      else this.move("step", direction);
    };
    const moving = (does) => (event) => bar.axis ? does(event) : false;
    listen({
      ArrowLeft: moving(arrow(-1)), ArrowRight: moving(arrow(1)), " ": moving(() => this.move("play")),
      Home: moving(() => this.move("advance", -Infinity, this.player.stop())), End: moving(() => this.live()),
      "[": moving(() => this.move("jump", -1, this.player.stop())), "]": moving(() => this.move("jump", 1, this.player.stop())),
      "+": moving(() => bar.zoom(0.5)), "=": moving(() => bar.zoom(0.5)), "-": moving(() => bar.zoom(2)), 0: moving(() => bar.zoom(null)),
      Escape: () => this.item ? this.open(null) : false, "/": () => this.#search(),
    }, () => this.#search());
  }

  #search() {
    if (!WIDE.matches) this.show("board", { push: true });
    this.board.finder.focus();
  }

  // What happens meanwhile

  #happened(event) {
    this.another ||= event.item && !this.products.some(({ sleekplanId }) => sleekplanId === event.item.productId);
    this.extent.grow(event);
    this.news = [...this.news.slice(1 - NEWS_MOST), event];
    this.#views.get("feed")?.take(event);
    this.#soon(REFRESH_MS);
  }

  /** The board follows at its own pace: many events are one look. */
  #soon(wait) {
    this.#refreshing ||= setTimeout(() => {
      this.#refreshing = 0;
      this.#renew(this.#failed);
    }, wait);
  }

  /** Show what has come, and what time it is, to whoever looks; `all` is to ask for a view beside the board, too. */
  #renew(all) {
    if (document.hidden || !this.bar.axis) return;
    if (this.another) return part(import("./products.js")).then(({ another }) => another(this), (error) => this.failed(error));
    this.looked = looked(this.extent.head);
    this.bar.load(this.extent);
    this.bar.show(this.moment);
    if (this.moving || !(this.moment.live || this.#failed)) return;
    this.#failed = 0;
    this.#attempt(this.board, this.shown());
    if (!this.#views.has(this.tabs.chosen)) return this.show(this.view);
    const beside = this.#views.get(this.view);
    if (!beside || beside === this.board || (this.view !== "item" && (!all || beside.frame?.body.contains(document.activeElement)))) return;
    this.#attempt(beside, this.shown());
  }
}

/** The position up to which this browser had looked before this visit; given one, it now has up to there. */
function looked(position) {
  try {
    const [before = 0, last = before, at = 0] = [JSON.parse(localStorage.getItem("recount:looked")) ?? []].flat();
    const since = Date.now() - at > VISIT_MS ? last : before;
    if (position) localStorage.setItem("recount:looked", JSON.stringify([since, position, Date.now()]));
    return since;
  } catch {
    return 0; // A browser that keeps nothing shows a week instead.
  }
}

new Page().start();
