// Offers the products of a log that has several.

import { choice, refill } from "./dom.js";

export function offer(page, place, products) {
  const options = products.map(({ sleekplanId: id, name }) => [id, name ?? `product ${id}`]);
  const select = choice("Product", [["", "all products"], ...options], () => page.choose(select.value || undefined));
  select.value = page.product ?? "";
  refill(place, select);
}
