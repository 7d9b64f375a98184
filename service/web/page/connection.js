// The connection in words: that it stands, that it was lost and where, and what came again afterwards.

import { write } from "./dom.js";
import { EVENT } from "./events.js";
import { number } from "./format.js";
import { Follower } from "./socket.js";

/** Every event from a place on. */
export const LIVE_EVENTS = `subscription Follow($after: Position, $cursor: String, $productId: ID) {
  events(after: $after, afterCursor: $cursor, productId: $productId) {${EVENT}
  }
}`;

/** Of `{api, product, place, onevent, onback, onrefused}`: `place` shows the words, `onback` is told when what was missed is asked again. */
export class Connection {
  /** Where it was lost, until all that was missed has come again. */
  cutAt;
  replay = null;

  constructor(how) {
    Object.assign(this, how);
    const { api, product } = how;
    this.follower = new Follower({
      endpoint: Object.assign(new URL(api.endpoint), { protocol: api.endpoint.protocol.replace("http", "ws") }),
      document: LIVE_EVENTS, variables: { productId: product }, token: () => api.token,
      onevent: (event) => this.#take(event), onstate: (state, why) => this.#tell(state, why),
    });
  }

  start(...after) {
    this.follower.start(...after);
  }

  stop() {
    this.replay = null;
    this.over = true;
    this.follower.stop();
  }

  #take(event) {
    if (this.replay) this.replay.count++;
    this.onevent(event);
    this.replay?.look?.();
  }

  #tell(state, why) {
    document.body.dataset.connection = state;
    this.replay = null;
    if (state === "refused") return import("./refused.js").then(({ refused }) => this.over || refused(this, why));
    if (state === "lost") {
      this.cutAt ??= this.follower.position;
      return write(this.place, `Connection lost at position ${number(this.cutAt)}. Trying again …`);
    }
    if (this.cutAt === undefined) return write(this.place, "Connected");
    const replay = (this.replay = { count: 0 });
    import("./replay.js").then(({ resume }) => resume(this, replay));
  }
}
