// The time bar: how much happened when, what stands out, and a handle to drag through it.

import { choice, el, put, refill, svg, write } from "./dom.js";
import { date, dateTime, exactTime, longDate, number } from "./format.js";
import { DAY_MS, Happened } from "./axis.js";
import { part } from "./graphql.js";

/** How many days a second are played: on the clock RECORDED a day is so many positions; 0 goes from event to event. */
const SPEEDS = [[7, "steadily"], [30, "fast"], [1, "slowly"], [0, "event by event"]];
/** What a date needs. */
const TICK_PIXELS = 64;
/** More bars cannot be told apart. */
const BARS = 250;

export class TimeBar {
  #dragging = false;
  #lens = null;
  #chosen = null;
  #before = null;
  #box = null;

  constructor(root, page) {
    this.page = page;
    const button = (does, key, sign, onclick) => el("button", { "aria-label": does, title: `${does} (${key})`, onclick }, sign);
    const step = (direction, ...how) => button(...how, () => page.move("step", direction, page.player.stop()));
    this.day = el("h2.day");
    this.place = el("p.place");
    this.said = el("p.said");
    this.button = {
      back: step(-1, "One event back", "←", "‹"),
      play: el("button.wide", { "aria-pressed": "false", title: "Play (space)", onclick: () => page.move("play") }, "Play"),
      on: step(1, "One event on", "→", "›"),
      visit: el("button", { onclick: () => page.move("visit", page.shown(page.player.stop())), title: "Go to a date and a time of day" }, "Go to …"),
      live: el("button.live-button", { onclick: () => page.live() }, "Back to live"),
      copy: el("button", { onclick: () => page.move("copy"), title: "Copy an address that always answers the same" }, "Copy link"),
    };
    this.zooms = [
      button("Show more time", "−", "−", () => this.zoom(2)), button("Show less time", "+", "+", () => this.zoom(0.5)),
      button("Show all time", "0", "All", () => this.zoom(null)),
    ];
    this.speed = choice("Speed", SPEEDS, () => page.player.playing && page.move("play", page.player.stop()));
    const clocks = [["OCCURRED", "as it happened"], ["RECORDED", "as we learnt of it"]];
    const turn = () => page.move("turn", this.clock.value, page.player.stop()).then(() => (this.clock.value = this.axis.clock));
    this.clock = choice("Clock", clocks, turn);
    const drawing = (name, height) =>
      svg("svg", { class: name, preserveAspectRatio: "none", viewBox: `0 0 1000 ${height}`, "aria-hidden": "true" });
    this.shape = drawing("shape", 40);
    this.lanes = drawing("lanes", 10);
    this.notes = el("div.notes", { "aria-hidden": "true" });
    this.past = el("div.elapsed");
    this.handle = el("div", { role: "slider", tabindex: "0", class: "handle", "aria-label": "Moment shown", "aria-keyshortcuts": "ArrowLeft ArrowRight Home End Space + - 0" });
    this.track = el("div.track", this.past, this.shape, this.lanes, this.notes, this.handle);
    this.ticks = el("div.ticks", { "aria-hidden": "true", title: "Drag to see what was before or after" });
    this.range = el("span.quiet");
    put(
      root,
      el(
        "div.now",
        el("div", this.day, this.place),
        el(
          "div.controls", { role: "group", "aria-label": "Move through time" },
          this.button.back, this.button.play, this.button.on, this.speed, this.clock, this.button.visit, this.button.live,
        ),
      ),
      this.said,
      this.track,
      this.ticks,
      el(
        "div.legend",
        ["▂▅▃ events a day", "||| status moves", "◆ changelog"].map((text) => el("span", { "aria-hidden": "true" }, text)), this.range,
        el("span.hint", { "aria-hidden": "true" }, "← → one event · shift a day · [ ] changelog · space plays"),
        el("span.zooms", { role: "group", "aria-label": "What the bar shows" }, this.button.copy, this.zooms),
      ),
    );
    this.#listen();
    new ResizeObserver(() => {
      // What stands still while the page is scrolled begins below the bar, where that does.
      const high = getComputedStyle(root).position === "sticky" ? root.offsetHeight : 0;
      document.documentElement.style.setProperty("--under", `${high}px`);
      if (this.axis) this.#drawTicks();
    }).observe(root);
  }

  /** Take the bounds of the log on both clocks, and what is drawn between them. */
  load(extent) {
    this.extent = extent;
    if (!this.axis) this.axis = new Happened(extent.from, extent.to, extent.main);
    else if (this.axis.clock === "OCCURRED") this.axis.grow(extent.from, extent.to, extent.main);
    else this.axis.grow(1, extent.head);
    this.draw();
  }

  /** Run over time, or over positions: how those are drawn is loaded once it is wanted. */
  async setClock(clock) {
    const { Learnt } = clock === "RECORDED" ? await part(import("./learnt.js")) : {};
    const { from, main, to, head } = this.extent;
    this.axis = Learnt ? new Learnt(1, head) : new Happened(from, to, main);
    this.clock.value = clock;
    this.draw();
  }

  /** When what a moment shows had happened, in milliseconds; at a position, to the day. */
  happened(moment) {
    if (moment.live) return this.extent.to;
    if (moment.clock === "OCCURRED") return Date.parse(moment.time);
    return this.extent.happenedBy(moment.position);
  }

  /** Show which moment is shown; `said` is what of the events that the last step passed, and stays as long as the moment. */
  show(moment, said = moment === this.moment ? this.said.textContent : "") {
    const value = this.axis.valueOf(moment);
    const moved = moment !== this.moment && !this.#dragging && this.axis.reveal(value);
    this.moment = moment;
    if (moved) this.draw();
    else this.#place();
    const at = this.happened(moment);
    write(this.day, moment.live ? "Now" : longDate(at));
    write(this.place, placeOf(moment, at, this.extent));
    write(this.said, said);
    document.body.classList.toggle("in-past", !moment.live);
    this.button.live.disabled = moment.live;
    write(this.button.live, moment.live ? "Live" : "Back to live");
    Object.assign(this.handle, {
      ariaValueMin: Math.floor(this.axis.begin), ariaValueMax: Math.ceil(this.axis.end), ariaValueNow: Math.floor(value),
      ariaValueText: moment.live ? "now, live" : `${longDate(at)}, ${this.place.textContent}`,
    });
  }

  /** Put the handle where the moment stands, or to the side where that is not shown. */
  #place() {
    const value = this.axis.valueOf(this.moment);
    this.handle.style.left = this.past.style.width = `${this.axis.share(value) * 100}%`;
    this.handle.toggleAttribute("data-away", !this.axis.shows(value));
  }

  /** Show a `factor` of what is shown, or with null all. How that is done is loaded once somebody comes near the bar. */
  async zoom(factor) {
    this.#lens ??= import("./lens.js").then(({ Lens }) => new Lens(this), () => (this.#lens = null));
    const lens = await this.#lens;
    if (factor) lens?.by(factor);
    else if (factor === null) lens?.all();
  }

  playing(is) {
    write(this.button.play, is ? "Pause" : "Play");
    this.button.play.ariaPressed = is;
  }

  #listen() {
    const choose = (event, settled) => {
      const share = this.shareOf(event.clientX);
      this.page.player.stop();
      if (share >= 1 && this.axis.high === this.axis.end) return this.page.live();
      const value = this.axis.rounded(this.axis.at(share), this.#box.width);
      // A browser tells a move again when something else has moved below the pointer.
      if (value === this.#chosen && !settled) return;
      this.#chosen = value;
      this.page.go(this.axis.moment(value, this.extent.head), { settled });
    };
    this.track.onpointerdown = (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      this.track.setPointerCapture(event.pointerId);
      this.#box = this.track.getBoundingClientRect();
      [this.#dragging, this.#chosen, this.#before] = [true, null, this.moment];
      this.handle.focus({ preventScroll: true });
      const note = event.target.closest("[data-note]");
      if (note) {
        this.#dragging = false;
        return this.page.move("travel", this.extent.marks[note.dataset.note]);
      }
      // A finger may be about to scroll the page: it chooses by going along the bar, or by leaving it.
      if (event.pointerType !== "touch") choose(event, false);
    };
    const drag = (event) => this.#dragging && choose(event, false);
    this.track.onpointermove = drag;
    // Told before the next frame is due, so that the question leaves some milliseconds earlier.
    this.track.addEventListener("pointerrawupdate", (event) => this.page.asking || drag(event));
    this.track.onpointerup = (event) => {
      if (this.#dragging) choose(event, true);
      this.#dragging = false;
    };
    this.track.onpointercancel = () => {
      if (this.#dragging && this.moment !== this.#before) this.page.go(this.#before, { settled: true });
      this.#dragging = false;
    };
    this.track.parentElement.addEventListener("pointerenter", () => this.zoom(), { once: true });
  }

  /** Where on the track a pointer is, from 0 to 1. */
  shareOf(clientX) {
    // Measured once: at each move it would be one more layout.
    const { left, width } = this.#dragging ? this.#box : this.track.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - left) / width));
  }

  /** Draw what the axis shows. */
  draw() {
    if (!this.axis) return;
    const { axis, extent: { marks } } = this;
    const seen = marks.map((mark, i) => [mark, axis.ofEvent(mark), i]).filter(([, value]) => axis.shows(value));
    const places = new Set(seen.filter(([{ type }]) => type === "ITEM_STATUS_CHANGED").map(([, value]) => Math.round(axis.share(value) * 1000)));
    refill(this.lanes, svg("path", { d: [...places].map((x) => `M${x} 0v10`).join("") }));
    refill(this.notes, seen.filter(([{ type }]) => type === "CHANGELOG_CREATED").map(([, value, i]) => {
      const note = el("span", { "data-note": i });
      note.style.left = `${axis.share(value) * 100}%`;
      return note;
    }));
    this.#drawShape();
    this.#drawTicks();
    const zoomed = axis.low > axis.begin || axis.high < axis.end;
    write(this.range, zoomed ? `shown: ${axis.name(axis.low)} – ${axis.name(axis.high)}` : "");
    if (this.moment) this.#place();
  }

  #drawShape() {
    // A column's height is the root of its count, so that quiet days stay visible.
    const columns = this.#columns();
    const most = Math.max(1, ...columns.map(([, , events]) => events));
    const d = columns.map(([from, to, events]) => {
      const height = Math.round(Math.sqrt(events / most) * 380) / 10;
      return `M${from * 1000} 40v${-height}h${(to - from) * 720}v${height}z`;
    });
    refill(this.shape, svg("path", { d: d.join("") }));
  }

  /** What is drawn, from where to where and how many events: the days, or of more than can be told apart some together. */
  #columns() {
    const { axis, extent: { days } } = this;
    const happened = axis.clock === "OCCURRED";
    if (happened && (axis.high - axis.low) / DAY_MS < BARS)
      return days.filter(({ at }) => at + DAY_MS > axis.low && at < axis.high).map(({ at, events }) => [axis.share(at), axis.share(at + DAY_MS), events]);
    const counts = new Float64Array(BARS);
    let last = 0;
    for (const { at, events, lastPosition } of days) {
      const value = happened ? at + DAY_MS / 2 : (last + lastPosition) / 2;
      last = lastPosition;
      if (axis.shows(value)) counts[Math.min(BARS - 1, Math.floor(axis.share(value) * BARS))] += events;
    }
    return [...counts].map((events, i) => [i / BARS, (i + 1) / BARS, events]).filter(([, , events]) => events);
  }

  #drawTicks() {
    const width = this.track.clientWidth;
    refill(this.ticks, this.axis.ticks(width).map(({ share, text }) => {
      const tick = el("span", text);
      tick.style.left = `${share * 100}%`;
      tick.hidden = (1 - share) * width < TICK_PIXELS;
      return tick;
    }));
  }
}

function placeOf(moment, at, extent) {
  if (moment.live) return `position ${number(extent.head)}${extent.latest ? ` · newest event ${dateTime(extent.latest)} UTC` : ""}`;
  if (moment.clock === "RECORDED")
    return `position ${number(moment.position)}${moment.time ? ` · learnt ${dateTime(moment.time)} UTC` : ""}`;
  return `${exactTime(at)} UTC · as known at position ${number(moment.position)}`;
}
