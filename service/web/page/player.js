// Plays the log at a speed.

const EVENT_MS = 450;

/** How many days a second: on the clock RECORDED a day is so many positions. */
export const SPEEDS = { steadily: 7, fast: 30, slowly: 1, "event by event": 0 };

/** Moves the moment on by itself, one shown step after the other, until the end of the log or until told to stop. */
export class Player {
  #run = 0;

  /** `page.step(1)` goes one event on and says whether it could; `page.advance(amount)` moves along the axis, likewise. */
  constructor(page) {
    this.page = page;
  }

  get playing() {
    return this.#run !== 0;
  }

  stop() {
    if (!this.playing) return;
    cancelAnimationFrame(this.#run);
    this.#run = 0;
    this.page.bar.playing(false);
  }

  /** `speed` is how far to go in a second; 0 goes from event to event. */
  start(speed) {
    this.stop();
    let [before, busy] = [performance.now(), false];
    const turn = async (now) => {
      this.#run = requestAnimationFrame(turn);
      if (busy || (!speed && now - before < EVENT_MS)) return;
      busy = true;
      const passed = Math.min(now - before, 500) / 1000;
      before = now;
      const went = await (speed ? this.page.advance(speed * passed) : this.page.step(1)).catch(() => false);
      busy = false;
      if (!went && this.playing) this.stop();
    };
    this.#run = requestAnimationFrame(turn);
    this.page.bar.playing(true);
  }
}
