// What follows once the first view is drawn: what stands out on the time bar, what can be looked for, and a drag's question.

import { MARKED } from "./extent.js";

const PAGES = 8;

/** The marks on the time bar. */
const MARKS = `query Marks($productId: ID, $after: String, $type: EventType!) {
  events(productId: $productId, filter: {types: [$type]}, orderBy: {field: POSITION, direction: DESC}, first: 500, after: $after) {
    nodes { position type occurredAt summary }
    pageInfo { hasNextPage endCursor }
  }
}`;

/** Read all that for a page, unless it begins anew meanwhile; the marks come the newest first. */
export async function complete(page) {
  const { api, product: productId, extent, bar, board } = page;
  for (const type of Object.keys(MARKED)) {
    let [after, more] = [null, true];
    for (let i = 0; more && i < PAGES; i++) {
      const answer = await api.ask(MARKS, { productId, after, type }).catch(() => null);
      const { nodes, pageInfo } = answer?.data.events ?? { nodes: [], pageInfo: {} };
      extent.marks.push(...nodes);
      [after, more] = [pageInfo.endCursor, pageInfo.hasNextPage];
      if (extent !== page.extent || !bar.axis) return;
      bar.load(extent);
    }
  }
  board.warm({ ...page.shown(), moment: page.now() });
  board.learn();
  document.body.dataset.ready = "true";
}
