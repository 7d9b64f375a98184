// Starts GraphiQL on the endpoint beside it: queries by POST, subscriptions by WebSocket.
//
// A token goes into the "Headers" tab, as {"Authorization": "Bearer …"}; a subscription sends the same as the
// payload of its connection_init. It is kept in no storage. Who is signed in on the page needs none. `?query=…&variables=…` opens that query first.

import { createClient, mount } from "./assets/graphiql.js";

const endpoint = new URL("../graphql", import.meta.url);
const socketEndpoint = new URL(endpoint);
socketEndpoint.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";

globalThis.MonacoEnvironment = {
  getWorker: (_, label) => {
    const name = ["json", "graphql"].includes(label) ? label : "editor";
    return new Worker(new URL(`./assets/${name}.worker.js`, import.meta.url), { type: "module" });
  },
};

function fetcher(request, { headers = {}, documentAST } = {}) {
  return isSubscription(request, documentAST) ? subscribe(request, headers) : post(request, headers);
}

function isSubscription({ operationName }, document) {
  const operations = (document?.definitions ?? []).filter(({ kind }) => kind === "OperationDefinition");
  const chosen = operations.find(({ name }) => name?.value === operationName) ?? operations[0];
  return chosen?.operation === "subscription";
}

async function post(request, headers) {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: {
      Accept: "application/graphql-response+json, application/json",
      "Content-Type": "application/json",
      ...headers,
    },
    body: JSON.stringify(request),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { errors: [{ message: `HTTP ${response.status}: ${text}` }] };
  }
}

function subscribe(request, headers) {
  // One connection a subscription, never tried again: a cut is to be seen, and resumed by its position.
  const client = createClient({ url: socketEndpoint.href, connectionParams: headers, retryAttempts: 0 });
  const results = client.iterate(request);
  const close = results.return.bind(results);
  results.return = async (value) => {
    await client.dispose();
    return close(value);
  };
  return results;
}

/** A moment so many days ago, in the morning: an example of a fixed date would soon be about nothing. */
function ofToday(name, value) {
  if (!value?.daysAgo) return value;
  const day = new Date(Date.now() - value.daysAgo * 86_400_000);
  return `${day.toISOString().slice(0, 10)}T09:00:00Z`;
}

function asTab({ title, query, variables }) {
  return {
    query: `# ${title}\n\n${query.trim()}\n`,
    variables: variables ? JSON.stringify(variables, ofToday, 2) : "",
  };
}

const asked = new URLSearchParams(location.search);
const linked = asked.get("query") && { query: asked.get("query"), variables: asked.get("variables") ?? "" };
const examples = await fetch(new URL("./examples.json", import.meta.url)).then((found) => found.json());
const tabs = [...(linked ? [linked] : []), ...examples.map(asTab)];

// On a first visit GraphiQL would leave the variables of the open tab empty; later it has its own memory.
const opened = linked || (localStorage.getItem("graphiql:tabState") ? null : tabs[0]);

mount(document.querySelector("#graphiql"), {
  fetcher,
  defaultTabs: tabs,
  ...(opened && { initialQuery: opened.query, initialVariables: opened.variables }),
  isHeadersEditorEnabled: true,
  shouldPersistHeaders: false,
  schemaDescription: true,
});
