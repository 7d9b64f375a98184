// Offers the products of a log that has several.

import { choice, refill } from "./dom.js";

export function offer(page, place, products) {
  const options = products.map(({ sleekplanId: id, name }) => [id, name ?? `product ${id}`]);
  const choose = (product) => {
    Object.assign(page, { product, item: null, view: page.view === "item" ? "board" : page.view });
    page.restart();
  };
  const select = choice("Product", [["", "all products"], ...options], () => choose(select.value || undefined));
  select.value = page.product ?? "";
  refill(place, select);
}
