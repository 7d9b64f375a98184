// The time bar: how much happened when, what stands out, and a handle to drag through it.

import { choice, el, put, refill, svg, write } from "./dom.js";
import { date, dateTime, exactTime, longDate, number, plural } from "./format.js";
import { SPEEDS } from "./player.js";
import { Happened, Learnt } from "./axis.js";

export class TimeBar {
  #marks = [];
  #days = [];
  #dragging = false;
  #chosen = null;
  #box = null;

  constructor(root, page) {
    this.page = page;
    const step = (direction, does, key, sign) =>
      el("button", { "aria-label": does, title: `${does} (${key})`, onclick: () => page.step(direction, page.player.stop()) }, sign);
    this.day = el("h2.day");
    this.place = el("p.place");
    this.said = el("p.said");
    this.button = {
      back: step(-1, "One event back", "←", "‹"),
      play: el("button.wide", { "aria-pressed": "false", title: "Play (space)", onclick: () => page.play() }, "Play"),
      on: step(1, "One event on", "→", "›"),
      live: el("button.live-button", { onclick: () => page.live() }, "Back to live"),
      copy: el("button.quiet", { onclick: () => page.copy(), title: "Copy an address that always answers the same" }, "Copy link"),
    };
    const speeds = Object.entries(SPEEDS).map(([text, value]) => [value, text]);
    this.speed = choice("Speed", speeds, () => page.player.playing && page.play(page.player.stop()));
    const clocks = [["OCCURRED", "as it happened"], ["RECORDED", "as we learnt of it"]];
    this.clock = choice("Clock", clocks, () => page.setClock(this.clock.value));
    const drawing = (name, height) =>
      svg("svg", { class: name, preserveAspectRatio: "none", viewBox: `0 0 1000 ${height}`, "aria-hidden": "true" });
    this.shape = drawing("shape", 40);
    this.lanes = drawing("lanes", 10);
    this.notes = el("div.notes", { "aria-hidden": "true" });
    this.past = el("div.elapsed");
    this.hover = el("div.hover", { "aria-hidden": "true" });
    this.handle = el("div", { role: "slider", tabindex: "0", class: "handle", "aria-label": "Moment shown", "aria-keyshortcuts": "ArrowLeft ArrowRight Home End Space" });
    this.track = el("div.track", this.past, this.shape, this.lanes, this.notes, this.handle, this.hover);
    this.ticks = el("div.ticks", { "aria-hidden": "true" });
    put(
      root,
      el(
        "div.now",
        el("div", this.day, this.place),
        el(
          "div.controls", { role: "group", "aria-label": "Move through time" },
          this.button.back, this.button.play, this.button.on, this.speed, this.clock, this.button.live, this.button.copy,
        ),
      ),
      this.said,
      this.track,
      this.ticks,
      el(
        "p.legend", { "aria-hidden": "true" },
        el("span", "▂▅▃ events a day"), el("span", "||| status moves"), el("span", "◆ changelog"), el("span.hint", "← → one event · shift a day · [ ] changelog · space plays"),
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
  load(extent, marks) {
    this.#days = extent.days;
    this.#marks = marks;
    this.extend(extent);
    this.#draw();
  }

  /** The log has grown. */
  extend(extent) {
    this.extent = extent;
    if (!this.axis) return this.setClock("OCCURRED");
    this.axis.high = Math.max(this.axis.high, this.axis.clock === "OCCURRED" ? extent.to : extent.head);
  }

  setClock(clock) {
    const { from, to, head } = this.extent;
    this.axis = clock === "OCCURRED" ? new Happened(from, to) : new Learnt(1, head);
    this.clock.value = clock;
    this.#draw();
  }

  /** When what a moment shows had happened, in milliseconds; at a position, to the day. */
  happened(moment) {
    if (moment.live) return this.extent.to;
    if (moment.clock === "OCCURRED") return Date.parse(moment.time);
    return Date.parse(this.#days.find(({ lastPosition }) => lastPosition >= moment.position)?.t) || this.extent.to;
  }

  /** Show which moment is shown; `events` are those that the last step passed. */
  show(moment, events = []) {
    const share = this.axis.share(this.axis.valueOf(moment));
    this.handle.style.left = this.past.style.width = `${share * 100}%`;
    const at = this.happened(moment);
    write(this.day, moment.live ? "Now" : longDate(at));
    write(this.place, placeOf(moment, at, this.extent));
    write(this.said, sentence(events));
    document.body.classList.toggle("in-past", !moment.live);
    this.button.live.disabled = moment.live;
    write(this.button.live, moment.live ? "Live" : "Back to live");
    Object.assign(this.handle, {
      ariaValueMin: Math.floor(this.axis.low), ariaValueMax: Math.ceil(this.axis.high),
      ariaValueNow: Math.floor(this.axis.valueOf(moment)),
      ariaValueText: moment.live ? "now, live" : `${longDate(at)}, ${this.place.textContent}`,
    });
  }

  playing(is) {
    write(this.button.play, is ? "Pause" : "Play");
    this.button.play.ariaPressed = is;
  }

  #listen() {
    const choose = (event, settled) => {
      const share = this.#share(event);
      this.page.player.stop();
      if (share >= 1) return this.page.live();
      const value = this.axis.rounded(this.axis.at(share), this.#box.width);
      // A browser tells a move again when something else has moved below the pointer.
      if (value === this.#chosen && !settled) return;
      this.#chosen = value;
      this.page.go(this.axis.moment(value, this.extent.head), { settled });
    };
    this.track.onpointerdown = (event) => {
      if (event.button !== 0) return;
      this.track.setPointerCapture(event.pointerId);
      this.#box = this.track.getBoundingClientRect();
      [this.#dragging, this.#chosen] = [true, null];
      this.handle.focus({ preventScroll: true });
      const note = event.target.closest("[data-note]");
      if (note) {
        this.#dragging = false;
        return this.page.travel(this.#marks[note.dataset.note]);
      }
      choose(event, false);
    };
    const drag = (event) => this.#dragging && choose(event, false);
    this.track.onpointermove = (event) => {
      this.#hover(event);
      drag(event);
    };
    // Before the next frame is due: the question leaves some milliseconds earlier.
    this.track.addEventListener("pointerrawupdate", (event) => this.page.asking || drag(event));
    this.track.onpointerup = (event) => {
      if (this.#dragging) choose(event, true);
      this.#dragging = false;
    };
    this.track.onpointercancel = () => (this.#dragging = false);
    this.track.onpointerleave = () => (this.hover.hidden = true);
    this.hover.hidden = true;
  }

  #share(event) {
    // Measured once: at each move it would be one more layout.
    const { left, width } = this.#dragging ? this.#box : this.track.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - left) / width));
  }

  #hover(event) {
    if (!this.axis || event.pointerType === "touch") return;
    const share = this.#share(event);
    const value = this.axis.at(share);
    const note = event.target.closest?.("[data-note]");
    const what = note && this.#marks[note.dataset.note].summary;
    this.hover.hidden = false;
    this.hover.style.left = `${share * 100}%`;
    this.hover.classList.toggle("left", share > 0.6);
    write(this.hover, what ?? (this.axis.clock === "OCCURRED" ? date(value) : `position ${number(Math.round(value))}`));
  }

  /** Go to the changelog entry before or after a moment. */
  jump(moment, direction) {
    const here = this.axis.valueOf(moment);
    const entries = this.#marks.filter(({ type }) => type === "CHANGELOG_CREATED");
    const away = (mark) => (this.axis.ofEvent(mark) - here) * direction;
    const found = entries.filter((mark) => away(mark) > 0).sort((a, b) => away(a) - away(b))[0];
    if (found) this.page.travel(found);
  }

  #draw() {
    if (!this.axis) return;
    this.#drawShape();
    const moves = this.#marks.filter(({ type }) => type === "ITEM_STATUS_CHANGED");
    const places = new Set(moves.map((mark) => Math.round(this.axis.share(this.axis.ofEvent(mark)) * 1000)));
    refill(this.lanes, svg("path", { d: [...places].map((x) => `M${x} 0v10`).join("") }));
    const notes = this.#marks.map((mark, i) => [mark, i]).filter(([{ type }]) => type === "CHANGELOG_CREATED");
    refill(this.notes, notes.map(([mark, i]) => {
      const note = el("span", { "data-note": i });
      note.style.left = `${this.axis.share(this.axis.ofEvent(mark)) * 100}%`;
      return note;
    }));
    this.#drawTicks();
  }

  #drawShape() {
    // As many bars as can be told apart, as high as the root of their count: quiet days stay visible.
    const bars = new Float64Array(250);
    let last = 0;
    for (const { t, events, lastPosition } of this.#days) {
      const value = this.axis.clock === "OCCURRED" ? Date.parse(t) + 43_200_000 : (last + lastPosition) / 2;
      last = lastPosition ?? last;
      bars[Math.min(bars.length - 1, Math.floor(this.axis.share(value) * bars.length))] += events;
    }
    const most = Math.max(1, ...bars);
    const width = 1000 / bars.length;
    const d = [...bars].map((count, i) => {
      const height = Math.round(Math.sqrt(count / most) * 380) / 10;
      return height ? `M${i * width} 40v${-height}h${width * 0.72}v${height}z` : "";
    });
    refill(this.shape, svg("path", { d: d.join("") }));
  }

  #drawTicks() {
    refill(this.ticks, this.axis.ticks(this.track.clientWidth).map(({ share, text }) => {
      const tick = el("span", text);
      tick.style.left = `${share * 100}%`;
      if (share > 0.95) tick.classList.add("last");
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

function sentence(events) {
  if (!events.length) return "";
  if (events.length === 1) return events[0].summary;
  return `${plural(events.length, "event")} at once: ${events.map(({ summary }) => summary).slice(0, 3).join(" · ")}${events.length > 3 ? " …" : ""}`;
}
