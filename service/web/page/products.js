// Offers the products of a log that has several.

import { reference } from "./address.js";
import { choice, refill } from "./dom.js";

/** Begin again because another product has come; what is open of the only one so far is named as its own. */
export function another(page) {
  const [{ sleekplanId: productId }] = page.products;
  if (page.item && !page.several && !page.product) page.item = reference({ sleekplanId: page.item, productId }, true);
  page.restart();
}

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
