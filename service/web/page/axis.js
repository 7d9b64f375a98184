// Maps a clock onto the width of the time bar.
//
// On OCCURRED the bar runs over time, on RECORDED over positions: the order in which this log learnt of things.

import { past } from "./moment.js";
import { month, number } from "./format.js";

export const DAY_MS = 86_400_000;

class Axis {
  constructor(low, high) {
    this.low = low;
    this.high = Math.max(high, low + 1);
  }

  /** Where a value stands, from 0 to 1. */
  share(value) {
    return Math.min(1, Math.max(0, (value - this.low) / (this.high - this.low)));
  }

  at(share) {
    return this.low + share * (this.high - this.low);
  }
}

/** Time, as Sleekplan's clock has it; values are milliseconds. */
export class Happened extends Axis {
  clock = "OCCURRED";
  day = DAY_MS;

  valueOf(moment) {
    return moment.live ? this.high : Date.parse(moment.time);
  }

  ofEvent(event) {
    return Date.parse(event.occurredAt);
  }

  /** The moment at a value; what is believed about it is what the log held at `position`. */
  moment(value, position) {
    return past("OCCURRED", new Date(Math.round(value)).toISOString(), position);
  }

  /** A step worth seeing: neighbouring pixels of a bar ask the same question. */
  rounded(value, pixels) {
    const step = Math.max(60_000, 2 ** Math.floor(Math.log2((this.high - this.low) / pixels)));
    return Math.min(this.high, Math.round(value / step) * step);
  }

  ticks(pixels) {
    const from = new Date(this.low);
    const months = (this.high - this.low) / DAY_MS / 30.4;
    const every = [1, 2, 3, 6, 12, 24].find((count) => months / count <= pixels / 72) ?? 60;
    const ticks = [];
    for (let i = Math.ceil((from.getUTCMonth() + 1) / every) * every, at; ; i += every) {
      at = Date.UTC(from.getUTCFullYear(), i, 1);
      if (at > this.high) return ticks;
      ticks.push({ share: this.share(at), text: month(at) });
    }
  }
}

/** Positions of the log. */
export class Learnt extends Axis {
  clock = "RECORDED";
  day = 100;

  valueOf(moment) {
    return moment.live ? this.high : moment.position;
  }

  ofEvent(event) {
    return event.position;
  }

  /** Its time is told by the event there, once that is read. */
  moment(value) {
    return past("RECORDED", null, Math.max(1, Math.round(value)));
  }

  rounded(value) {
    return Math.round(value);
  }

  ticks(pixels) {
    const wanted = (this.high - this.low) / Math.max(2, pixels / 90);
    const power = 10 ** Math.floor(Math.log10(Math.max(wanted, 1)));
    const every = Math.max(1, [1, 2, 5, 10].find((count) => count * power >= wanted) * power);
    const ticks = [];
    for (let at = every; at <= this.high; at += every)
      ticks.push({ share: this.share(at), text: number(at) });
    return ticks;
  }
}
