// The connection in words: that it stands, that it was lost and where, and what came again afterwards.

import { write } from "./dom.js";
import { EVENT } from "./events.js";
import { number, plural } from "./format.js";
import { Follower } from "./socket.js";

/** Every event from a place on. */
export const LIVE_EVENTS = `subscription Follow($after: Position, $cursor: String, $productId: ID) {
  events(after: $after, afterCursor: $cursor, productId: $productId) {${EVENT}
  }
}`;

/** The newest event that the subscription would give: what was missed ends there. */
const NEWEST = `query Newest($productId: ID) {
  events(productId: $productId, last: 1) { nodes { position } }
}`;

/** Of `{api, product, place, onevent, onback}`: `place` shows the words, `onback` is told when what was missed is asked again. */
export class Connection {
  #cutAt;
  #replay = null;

  constructor({ api, product, place, onevent, onback }) {
    Object.assign(this, { api, product, place, onevent, onback });
    this.follower = new Follower({
      endpoint: Object.assign(new URL(api.endpoint), { protocol: api.endpoint.protocol.replace("http", "ws") }),
      document: LIVE_EVENTS, variables: { productId: product }, token: () => api.token,
      onevent: (event) => this.#take(event), onstate: (state, why) => this.#tell(state, why),
    });
  }

  start(after) {
    this.follower.start(after);
  }

  stop() {
    this.follower.stop();
  }

  #take(event) {
    if (this.#replay) this.#replay.count++;
    this.onevent(event);
    this.#replayed();
  }

  #tell(state, why) {
    document.body.dataset.connection = state;
    if (state === "refused") return write(this.place, `What happens cannot be followed: ${why}`);
    if (state === "lost") {
      this.#cutAt ??= this.follower.position;
      this.#replay = null;
      return write(this.place, `Connection lost at position ${number(this.#cutAt)}. Trying again …`);
    }
    if (this.#cutAt === undefined) return write(this.place, "Connected");
    this.#resume(this.#cutAt);
  }

  /** What was missed ends with the newest event that is ours: the log may have grown by another product's. */
  async #resume(after) {
    const replay = (this.#replay = { after, until: Infinity, count: 0 });
    const answer = await this.api.ask(NEWEST, { productId: this.product }).catch(() => null);
    if (this.#replay !== replay) return;
    replay.until = answer?.data.events.nodes[0]?.position ?? 0;
    this.onback();
    this.#replayed();
  }

  /** Once everything missed has come again, say how much it was. */
  #replayed() {
    if (!this.#replay || this.follower.position < this.#replay.until) return;
    const { after, count } = this.#replay;
    this.#cutAt = this.#replay = undefined;
    write(this.place, `Connected again: resumed after position ${number(after)}, ${count ? plural(count, "event") : "nothing"} replayed.`);
  }
}
