// Plays the log at a speed.

const EVENT_MS = 450;

/** Moves the moment on by itself, one shown step after the other, until the end of the log or until told to stop. */
export class Player {
  #run = 0;

  /** `travels.step(1)` goes one event on and says whether it could; `travels.advance(amount)` moves along the axis, likewise; `told` is told. */
  constructor(travels, told) {
    Object.assign(this, { travels, told });
  }

  get playing() {
    return this.#run !== 0;
  }

  stop() {
    if (!this.playing) return;
    cancelAnimationFrame(this.#run);
    this.#run = 0;
    this.told(false);
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
      const went = await (speed ? this.travels.advance(speed * passed) : this.travels.step(1)).catch(() => false);
      busy = false;
      if (!went && this.playing) this.stop();
    };
    this.#run = requestAnimationFrame(turn);
    this.told(true);
  }
}
