// What page.js needs of other people's packages, as one module.
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { GraphiQL } from "graphiql";

export { createClient } from "graphql-ws";

export function mount(element, properties) {
  createRoot(element).render(createElement(GraphiQL, properties));
}
