// Maps the clock RECORDED onto the time bar: it runs over positions, the order in which this log learnt of things.

import { Axis } from "./axis.js";
import { past } from "./moment.js";
import { number } from "./format.js";

/** Positions of the log. */
export class Learnt extends Axis {
  clock = "RECORDED";
  day = 100;
  least = 20;

  valueOf(moment) {
    return moment.live ? this.end : moment.position;
  }

  ofEvent(event) {
    return event.position;
  }

  /** Its time is told by the event there, once that is read. */
  moment(value) {
    return past("RECORDED", null, Math.max(1, Math.round(value)));
  }

  name(value) {
    return `position ${number(Math.round(value))}`;
  }

  rounded(value) {
    return Math.round(value);
  }

  ticks(pixels) {
    const wanted = (this.high - this.low) / Math.max(2, pixels / 90);
    const power = 10 ** Math.floor(Math.log10(Math.max(wanted, 1)));
    const every = Math.max(1, [1, 2, 5, 10].find((count) => count * power >= wanted) * power);
    const ticks = [];
    for (let at = Math.ceil(Math.max(this.low, 1) / every) * every; at <= this.high; at += every)
      ticks.push({ share: this.share(at), text: number(at) });
    return ticks;
  }
}
