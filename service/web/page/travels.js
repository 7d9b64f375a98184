// Moves the moment: by events, along the axis, by playing, to a date, onto the other clock. Loaded once somebody does so.

import { Unreachable, part } from "./graphql.js";
import { LIVE, past } from "./moment.js";
import { Player } from "./player.js";
import { Steps } from "./steps.js";
import { write } from "./dom.js";
import { brief, longDate, time } from "./format.js";

const ANNOUNCER = document.getElementById("announcer");
/** An item as addresses named it before they had paths. */
const NAMED = "query Named($id: ID!) { item(id: $id) { sleekplanId productId } }";

export class Travels {
  #steps = null;

  constructor(page) {
    this.page = page;
  }

  /** The events next to a moment. */
  #beside(moment, direction) {
    const { api, product } = this.page;
    if (!this.#steps || this.#steps.product !== product) this.#steps = new Steps(api, product);
    return this.#steps.from(moment, direction);
  }

  /** Go one event on or back; says whether there was one. */
  async step(direction) {
    const { moment, board } = this.page;
    if (moment.live && direction > 0) return false;
    const found = await this.#beside(moment.live ? this.page.now() : moment, direction).catch((error) => (board.frame.say(error), null));
    // Whoever has gone elsewhere meanwhile stays there.
    return found !== null && this.page.moment === moment && this.page.go(found.moment, { said: found.said });
  }

  /** Go along the axis by an amount of its own unit; reaching the end is being live again. */
  async advance(amount) {
    const { moment, extent, bar: { axis } } = this.page;
    const value = Math.max(axis.begin, axis.valueOf(moment) + amount);
    if (value >= axis.end) {
      this.page.live();
      return false;
    }
    await this.page.go(axis.moment(value, moment.live ? extent.head : moment.position));
    return true;
  }

  /** Play from the moment on, and from live from two thirds of what the bar shows; once more, and it stands. */
  play() {
    const { page, page: { bar, moment, player } } = this;
    if (player.playing) return player.stop();
    if (!(player instanceof Player)) page.player = new Player(this, (is) => bar.playing(is));
    if (moment.live) page.go(bar.axis.moment(bar.axis.at(2 / 3), page.extent.head));
    page.player.start(bar.speed.value * bar.axis.day);
  }

  /** Show the board as it was once an event had happened. */
  travel(event) {
    const { page, page: { moment, extent } } = this;
    page.player.stop();
    page.push = true;
    const then = moment.clock === "RECORDED"
      ? past("RECORDED", event.recordedAt ?? event.occurredAt, event.position)
      : past("OCCURRED", event.occurredAt, Math.max(moment.position ?? 0, extent.head));
    return page.go(then, { settled: true, said: brief(event.summary ?? "") });
  }

  /** Go to the changelog entry before or after the moment. */
  jump(direction) {
    const { bar: { axis }, extent, moment } = this.page;
    const here = axis.valueOf(moment);
    const away = (mark) => (axis.ofEvent(mark) - here) * direction;
    const entries = extent.marks.filter((mark) => mark.type === "CHANGELOG_CREATED" && away(mark) > 0);
    if (entries.length) this.travel(entries.reduce((near, mark) => (away(mark) < away(near) ? mark : near)));
  }

  /** Ask for a date and a time of day, and go there. */
  async visit(shown) {
    const { visit } = await part(import("./picker.js"));
    await visit(this.page, shown).catch((error) => this.page.board.frame.say(error));
  }

  /** Take the other clock, at the event that the moment shows last. */
  async turn(clock) {
    const { page, page: { moment } } = this;
    const found = moment.live ? null : await this.#beside(moment, 0);
    if (page.moment !== moment) return;
    await page.bar.setClock(clock);
    page.moment = { ...LIVE, clock };
    if (found) this.travel(found.events.at(-1));
    else page.live();
  }

  /** Copy the address of what is shown, which answers the same for good. */
  async copy() {
    const { page, page: { bar, moment } } = this;
    const { href } = new URL(page.address(moment.live ? page.now() : moment), location.href);
    const done = await navigator.clipboard?.writeText(href).then(() => true, () => false);
    for (const place of [bar.said, ANNOUNCER]) write(place, done ? "Link copied: it answers the same for good." : href);
  }

  /** Take the item of an old link by its name of today. */
  async find(id) {
    const { page } = this;
    const { data } = await page.api.ask(NAMED, { id }).catch((error) => {
      if (error instanceof Unreachable) throw error;
      return { data: {} };
    });
    page.item = data.item ? page.reference(data.item) : null;
    if (!data.item) page.notice(`The address names the item ${id}, which nobody has heard of.`);
    page.opaque = undefined;
  }

  /** Tell screen readers what is shown; of a position learn when it was recorded, and by what. */
  async tell({ moment, at }) {
    const { page, page: { bar, board } } = this;
    const first = board.rows.querySelector(".title")?.textContent ?? "nothing";
    write(ANNOUNCER, `${longDate(at)}, ${time(at)}. ${bar.said.textContent} ${board.count.textContent}, first: ${first}`);
    if (moment.time) return;
    const found = await this.#beside(moment, 0).catch(() => null);
    if (!found || page.moment !== moment) return;
    page.moment = found.moment;
    bar.show(found.moment, found.said);
    page.note();
  }
}
