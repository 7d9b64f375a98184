// Follows a subscription over graphql-transport-ws, and after any cut goes on where it was.

import { passes } from "./graphql.js";

const PROTOCOL = "graphql-transport-ws";
const WAIT_MS = [250, 500, 1_000, 2_000, 5_000];
const SILENCE_MS = 60_000;

/**
 * Of `{endpoint, document, variables, token, onevent, onstate}`: the document is a subscription of `events` that takes
 * `$after`; `onevent(event)` gets them in order and once each; `onstate` is told "open", "lost" or "refused" and the error.
 */
export class Follower {
  #socket = null;
  #failures = 0;
  #stopped = false;
  #timer = 0;
  #silence = 0;

  constructor(how) {
    Object.assign(this, how);
  }

  /** Begin after a position, of the log that a cursor names. */
  start(position, cursor) {
    Object.assign(this, { position, cursor });
    this.#stopped = false;
    this.#connect();
  }

  /** Let go of the connection and stay so. */
  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
  }

  #connect() {
    clearTimeout(this.#timer);
    if (this.#stopped || this.#socket) return;
    const socket = new WebSocket(this.endpoint, PROTOCOL);
    this.#socket = socket;
    const send = (message) => socket.send(JSON.stringify(message));
    socket.onopen = () => {
      const token = this.token();
      send({ type: "connection_init", payload: token ? { token } : {} });
      this.#listen();
    };
    socket.onmessage = ({ data }) => {
      this.#listen();
      const message = JSON.parse(data);
      if (message.type === "ping") send({ type: "pong" });
      else if (message.type === "connection_ack") {
        send({
          id: "live", type: "subscribe",
          payload: { query: this.document, variables: { ...this.variables, after: this.position, cursor: this.cursor } },
        });
        this.#failures = 0;
        this.onstate("open");
      } else if (message.type === "next") this.#take(message.payload);
      else if (message.type === "error") this.#refuse(message.payload?.[0]);
      else if (message.type === "complete") socket.close(1000);
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(this.#silence);
      if (this.#socket === socket) this.#socket = null;
      if (this.#stopped) return;
      if (code === 4401 || code === 4403) return this.#refuse({ message: reason });
      this.onstate("lost");
      const wait = WAIT_MS[Math.min(this.#failures++, WAIT_MS.length - 1)] * (0.75 + Math.random() / 2);
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#connect(), wait);
    };
  }

  #take({ data, errors, extensions }) {
    const event = data?.events;
    if (!event) return this.#refuse(errors?.[0]);
    if (event.position <= this.position) return;
    this.position = event.position;
    this.cursor = extensions.cursor;
    this.onevent(event);
  }

  #refuse(why) {
    if (passes(why)) return this.#socket.close(4000);
    this.stop();
    this.onstate("refused", why);
  }

  /** A connection on which not even a ping comes is dead, whatever the operating system says. */
  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#socket?.close(4000), SILENCE_MS);
  }
}
