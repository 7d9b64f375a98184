// Looks closer at the time bar: says what is below the pointer, and shows a part of what there is, by buttons and keys,
// by the wheel, and by dragging the dates below it.

import { el, write } from "./dom.js";
import { brief } from "./format.js";
import { styled } from "./styled.js";

await styled(new URL("lens.css", import.meta.url));

export class Lens {
  #from = null;

  constructor(bar) {
    this.bar = bar;
    const { ticks, track } = bar;
    this.hover = track.appendChild(el("div.hover", { "aria-hidden": "true", hidden: true }));
    track.addEventListener("pointermove", (event) => this.#say(event));
    track.onpointerleave = () => (this.hover.hidden = true);
    ticks.onpointerdown = ({ pointerId, clientX }) => {
      ticks.setPointerCapture(pointerId);
      this.#from = clientX;
    };
    ticks.onpointermove = ({ clientX }) => {
      if (this.#from === null) return;
      this.pan((this.#from - clientX) / track.clientWidth);
      this.#from = clientX;
    };
    ticks.onpointerup = ticks.onpointercancel = () => (this.#from = null);
    // A wheel alone scrolls the page, as everywhere; with Control it zooms, as two fingers do that part, and sideways it moves.
    track.parentElement.addEventListener("wheel", (event) => {
      const { ctrlKey, shiftKey, deltaX, deltaY, clientX } = event;
      const along = shiftKey ? deltaY || deltaX : deltaX;
      if (!ctrlKey && !shiftKey && Math.abs(along) <= Math.abs(deltaY)) return;
      event.preventDefault();
      if (ctrlKey) this.by(2 ** (Math.sign(deltaY) / 2), bar.shareOf(clientX));
      else this.pan(along / track.clientWidth);
    }, { passive: false });
  }

  #say({ pointerType, target, clientX }) {
    const { axis, extent } = this.bar;
    if (!axis || pointerType === "touch") return;
    const share = this.bar.shareOf(clientX);
    const note = target.closest?.("[data-note]");
    this.hover.hidden = false;
    this.hover.style.left = `${share * 100}%`;
    this.hover.classList.toggle("left", share > 0.6);
    write(this.hover, note ? brief(extent.marks[note.dataset.note].summary) : axis.name(axis.at(share)));
  }

  /** Show a `factor` of what is shown, more where it is above 1, around a share of it: by itself where the moment stands. */
  by(factor, share = this.bar.axis.share(this.bar.axis.valueOf(this.bar.moment))) {
    const { axis } = this.bar;
    const span = Math.max(axis.least, (axis.high - axis.low) * factor);
    axis.show(axis.at(share) - share * span, span);
    this.bar.draw();
  }

  /** Move by a share of what is shown. */
  pan(share) {
    const { axis } = this.bar;
    const span = axis.high - axis.low;
    axis.show(axis.low + share * span, span);
    this.bar.draw();
  }

  /** Show all there is; where all is shown, again without what lies far before the rest. */
  all() {
    const { axis } = this.bar;
    const whole = axis.low === axis.begin && axis.high === axis.end;
    axis.show(whole ? axis.first : axis.begin, axis.end - (whole ? axis.first : axis.begin));
    this.bar.draw();
  }
}
