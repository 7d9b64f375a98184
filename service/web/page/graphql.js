// Asks the API by HTTP, one question of a kind at a time, and remembers the past.

const ANSWERS_KEPT = 400;
const SECONDS_MAX = 15;
const CLOCKS_APART_MS = 60_000;

let ahead = 0;

/** The service's time, where this machine's is another. */
export const now = () => Date.now() - ahead;

/** What a reader is told in words: the service answered with errors and no data. */
export class Refused extends Error {}

/** The service did not answer, or not yet: it is asked again. */
export class Unreachable extends Refused {}

/** The service wants a token, or another one. */
export class Unauthenticated extends Refused {}

/** Whether an error of the service's says that it is better asked again. */
export const passes = (error) => ["POSTGRES_AWAY", "STOPPING"].includes(error?.extensions?.code);

/** A part of the page that is loaded once it is wanted; one of another version does not fit to what is loaded already. */
export const part = (loading) => loading.catch((cause) => {
  if (cause instanceof SyntaxError) throw new Refused("Recount is another version by now: load this page anew.", { cause });
  throw new Unreachable("This part of the page is not there: the service does not answer.", { cause });
});

export class Api {
  constructor(endpoint) {
    this.endpoint = endpoint;
    this.token = null;
  }

  /** Return `{data, errors, position, cursor}`; the position is where it was read. `stop` is a signal to let go. */
  async ask(document, variables = {}, stop = null) {
    const headers = { Accept: "application/json", "Content-Type": "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    let response, answer;
    try {
      response = await fetch(this.endpoint, {
        method: "POST", headers, body: JSON.stringify({ query: document, variables }),
        signal: AbortSignal.any([AbortSignal.timeout(SECONDS_MAX * 1000), ...(stop ? [stop] : [])]),
      });
      const apart = Date.now() - Date.parse(response.headers.get("Date"));
      ahead = Math.abs(apart) > CLOCKS_APART_MS ? apart : 0;
      answer = await response.json();
      // What stands in front of the service has words of its own, in JSON too.
      if (!answer?.data && !answer?.errors) throw new SyntaxError("no answer of GraphQL's");
    } catch (cause) {
      const other = cause instanceof SyntaxError ? `: what came is none of its answers (${response.status})` : "";
      throw new Unreachable(`The service does not answer${other}.`, { cause });
    }
    const errors = answer.errors ?? [];
    if (response.status === 401) throw new Unauthenticated(errors[0]?.message);
    const away = errors.find(passes);
    if (away) throw new Unreachable(away.message, { cause: away });
    this.cursor = answer.extensions?.cursor ?? this.cursor;
    if (!answer.data) throw new Refused(errors[0]?.message ?? `The service answered ${response.status}.`, { cause: errors[0] });
    return { data: answer.data, errors, position: answer.extensions?.position ?? null, cursor: this.cursor };
  }
}

/** Asks one question at a time; of those that come meanwhile only the newest is asked next. */
export class Lane {
  #api;
  #asked = null;
  #waiting = null;
  #answers = new Map();

  constructor(api) {
    this.#api = api;
  }

  /**
   * Return the answer, or null where a newer question took this one's place.
   *
   * `fixed` answers never change. One under way is let go for what is known, a `patient` one for one that is not.
   */
  ask(document, variables, { fixed = false, patient = false } = {}) {
    const key = fixed ? JSON.stringify([document, variables]) : null;
    this.#waiting?.resolve(null);
    this.#waiting = null;
    const known = key && this.#answers.get(key);
    if (known || (this.#asked?.patient && !patient)) this.#asked?.end.abort();
    if (known) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      this.#waiting = { document, variables, key, patient, resolve, reject, end: new AbortController() };
      if (!this.#asked) this.#next();
    });
  }

  /** Nothing that was asked is wanted any longer: it is answered by null. */
  drop() {
    this.#waiting?.resolve(null);
    this.#waiting = null;
    this.#asked?.end.abort();
  }

  async #next() {
    const asked = (this.#asked = this.#waiting);
    if (!asked) return;
    this.#waiting = null;
    const { signal } = asked.end;
    try {
      const answer = await this.#api.ask(asked.document, asked.variables, signal);
      if (asked.key && !answer.errors.length) this.#keep(asked.key, answer);
      asked.resolve(answer);
    } catch (error) {
      if (signal.aborted) asked.resolve(null);
      else asked.reject(error);
    } finally {
      this.#next();
    }
  }

  #keep(key, answer) {
    this.#answers.set(key, answer);
    if (this.#answers.size > ANSWERS_KEPT) this.#answers.delete(this.#answers.keys().next().value);
  }
}
