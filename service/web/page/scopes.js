// Asks the service with other scopes than the page asks with by itself, which is `read` alone.

/** The same service by the same token, asked with these scopes. */
export function reaching(api, scopes) {
  const endpoint = new URL(api.endpoint);
  endpoint.search = `scopes=${scopes}`;
  return Object.create(api, { endpoint: { value: endpoint } });
}
