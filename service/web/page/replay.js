// What was missed while the connection was lost: counted as it comes again, and told once all of it has.

import { write } from "./dom.js";
import { number, plural } from "./format.js";

/** The newest event that the subscription would give: what was missed ends there, and not where another product's does. */
const NEWEST = `query Newest($productId: ID) {
  events(productId: $productId, last: 1) { nodes { position } }
}`;

const AGAIN_MS = 2_000;

/** Say how much came again once a `replay` of a connection has all; its `count` goes on, and `look` is called at each event. */
export async function resume(connection, replay) {
  const { api, product, place, follower, cutAt } = connection;
  const answer = await api.ask(NEWEST, { productId: product }).catch(() => null);
  if (connection.replay !== replay) return;
  if (!answer) return setTimeout(resume, AGAIN_MS, connection, replay);
  const until = answer.data.events.nodes[0]?.position ?? 0;
  connection.onback();
  replay.look = () => {
    if (follower.position < until) return;
    connection.cutAt = connection.replay = undefined;
    const { count } = replay;
    write(place, `Connected again: resumed after position ${number(cutAt)}, ${count ? plural(count, "event") : "nothing"} replayed.`);
  };
  replay.look();
}
