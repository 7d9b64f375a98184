// Follows a log with other people's clients: each resumes after a position, is cut off, and goes on.
//   node subscribers.mjs URL CLIENT AFTER UNTIL
import { createClient as overWebSocket } from 'graphql-ws';
import { createClient as overEventStream } from 'graphql-sse';
import { Client, subscriptionExchange, fetchExchange } from '@urql/core';
import WebSocket from 'ws';

const [url, name, after, until] = [process.argv[2], process.argv[3], Number(process.argv[4]), Number(process.argv[5])];
const query = 'subscription Follow($after: Position) { events(after: $after) { position } }';
const sockets = [];
class CutSocket extends WebSocket {
  constructor(...args) {
    super(...args);
    sockets.push(this);
  }
}
const ws = () =>
  overWebSocket({ url: url.replace('http', 'ws'), webSocketImpl: CutSocket, retryAttempts: 5, retryWait: async () => {} });

const clients = {
  'graphql-ws': () => {
    const client = ws();
    return (variables, sink) => client.subscribe({ query, variables }, sink);
  },
  'graphql-sse': () => {
    const client = overEventStream({ url, retryAttempts: 5 });
    return (variables, sink) => client.subscribe({ query, variables }, sink);
  },
  urql: () => {
    const socket = ws();
    const forward = (request) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? '' }, sink) }),
    });
    const client = new Client({
      url,
      preferGetMethod: false,
      exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription: forward })],
    });
    return (variables, sink) => {
      const { unsubscribe } = client.subscription(query, variables).subscribe((result) => {
        if (result.error) sink.error(result.error);
        else sink.next(result);
      });
      return unsubscribe;
    };
  },
};

const subscribe = clients[name]();
const got = [];
let last = after;
const follow = (to) =>
  new Promise((done, failed) => {
    let finished = false;
    const stop = subscribe({ after: last }, {
      next: ({ data }) => {
        // A retry of the client repeats its own variables; and what it has read ahead is no longer ours.
        if (finished || data.events.position <= last) return;
        last = data.events.position;
        got.push(last);
        if (last < to) return;
        finished = true;
        setImmediate(() => (stop(), done()));
      },
      error: failed,
      complete: () => {},
    });
  });

await follow(after + Math.floor((until - after) / 2));
for (const socket of sockets) socket.terminate();
await follow(until);
console.log(JSON.stringify(got));
process.exit(0);
