// Maps a clock onto the width of the time bar, all of it or the part that is looked at: OCCURRED runs over time.

import { past } from "./moment.js";
import { date, dateTime, dayMonth, month, time } from "./format.js";

const MINUTE_MS = 60_000;
export const DAY_MS = 1_440 * MINUTE_MS;
const MONTH_MS = 30.4 * DAY_MS;

/** `begin` and `end` are all there is, `first` is where the bar begins by itself, `low` and `high` what it shows. */
export class Axis {
  constructor(begin, end, first = begin) {
    Object.assign(this, { begin, end: Math.max(end, begin + 1), first, low: first });
    this.high = this.end;
  }

  /** Where a value stands, from 0 to 1. */
  share(value) {
    return Math.min(1, Math.max(0, (value - this.low) / (this.high - this.low)));
  }

  at(share) {
    return this.low + share * (this.high - this.low);
  }

  shows(value) {
    return value >= this.low && value <= this.high;
  }

  /** There is more, before or after; what is shown goes on to the end if it did, and from where the bar begins if it did. */
  grow(begin, end, first = begin) {
    const more = this.high === this.end ? Math.max(0, end - this.end) : 0;
    this.low = this.low === this.first ? first : this.low + more;
    this.high += more;
    Object.assign(this, { begin, end: Math.max(end, this.end), first });
  }

  /** Move so that a value is seen; true where that was needed. */
  reveal(value) {
    if (this.shows(value)) return false;
    const span = this.high - this.low;
    this.show(value - span / 2, span);
    return true;
  }

  /** Show so much from a value on, as far as there is so much. */
  show(low, wanted) {
    const span = Math.min(this.end - this.begin, wanted);
    this.low = Math.max(this.begin, Math.min(low, this.end - span));
    this.high = Math.min(this.end, this.low + span);
  }
}

/** Time, as Sleekplan's clock has it; values are milliseconds. */
export class Happened extends Axis {
  clock = "OCCURRED";
  day = DAY_MS;
  least = 60 * MINUTE_MS;

  valueOf(moment) {
    return moment.live ? this.end : Date.parse(moment.time);
  }

  ofEvent(event) {
    return Date.parse(event.occurredAt);
  }

  /** The moment at a value; what is believed about it is what the log held at `position`. */
  moment(value, position) {
    return past("OCCURRED", new Date(Math.round(value)).toISOString(), position);
  }

  name(value) {
    return (this.high - this.low < 3 * DAY_MS ? dateTime : date)(value);
  }

  /** A step worth seeing: neighbouring pixels of a bar ask the same question. */
  rounded(value, pixels) {
    const step = Math.max(1_000, 2 ** Math.floor(Math.log2((this.high - this.low) / pixels)));
    return Math.min(this.high, Math.round(value / step) * step);
  }

  ticks(pixels) {
    const [many, span] = [pixels / 72, this.high - this.low];
    if (span / MONTH_MS > many / 4) return this.#months([1, 2, 3, 6, 12, 24].find((count) => span / MONTH_MS / count <= many) ?? 60);
    const step = MINUTE_MS * ([15, 60, 180, 360, 720, 1_440, 2_880, 10_080].find((minutes) => span / MINUTE_MS / minutes <= many) ?? 20_160);
    const ticks = [];
    for (let at = Math.ceil(this.low / step) * step; at <= this.high; at += step)
      ticks.push({ share: this.share(at), text: (at % DAY_MS ? time : dayMonth)(at) });
    return ticks;
  }

  #months(every) {
    const from = new Date(this.low);
    const ticks = [];
    for (let i = Math.ceil((from.getUTCMonth() + 1) / every) * every, at; ; i += every) {
      at = Date.UTC(from.getUTCFullYear(), i, 1);
      if (at > this.high) return ticks;
      ticks.push({ share: this.share(at), text: month(at) });
    }
  }
}
