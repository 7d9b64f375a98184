// Every question that the page asks, in the words of the public API.

const EVENT = `
    position type origin occurredAt occurredAssumed recordedAt erased summary
    user { name }
    item { id title }`;

/** Events a day, the shape of the time bar; and the products to choose from. */
export const DENSITY = `query Density($productId: ID) {
  eventSeries(bucket: DAY, productId: $productId) { t events lastPosition }
  products { sleekplanId }
}`;

/** The marks on the time bar. */
export const MARKS = `query Marks($productId: ID, $after: String) {
  events(productId: $productId, filter: {types: [ITEM_STATUS_CHANGED, CHANGELOG_CREATED]}, first: 500, after: $after) {
    nodes { position type occurredAt summary }
    pageInfo { hasNextPage endCursor }
  }
}`;

/** The events around a moment, to step by. */
export const STEPS = `query Steps(
  $productId: ID, $behind: EventFilter, $ahead: EventFilter, $newestFirst: EventOrderBy!, $oldestFirst: EventOrderBy!
) {
  behind: events(productId: $productId, filter: $behind, orderBy: $newestFirst, first: 100) { ...Step }
  ahead: events(productId: $productId, filter: $ahead, orderBy: $oldestFirst, first: 100) { ...Step }
}
fragment Step on EventConnection { nodes { position occurredAt recordedAt summary } }`;

/** The board as of a moment. */
export const BOARD = `query Board($asOf: AsOf, $first: Int!, $since: DateTime!, $course: Boolean!, $productId: ID) {
  items(asOf: $asOf, first: $first, orderBy: {field: VOTES, direction: DESC}, productId: $productId) {
    totalCount
    nodes {
      id
      title
      status { key label role }
      votes { up down net }
      votesSince(time: $since) { net }
      voteSeries(bucket: WEEK, window: {last: "P91D"}) @include(if: $course) { cumulative }
    }
  }
}`;

/** One item as of a moment, with all that led there. */
export const ITEM = `query Item($id: ID!, $asOf: AsOf, $last: Int!) {
  item(id: $id, asOf: $asOf) {
    id title description typeLabel type createdAt deletedAt commentCount rank
    status { key label role }
    author { name }
    votes { up down net }
    voteSeries(bucket: WEEK) { t cumulative }
    statusHistory { to { key label role } enteredAt leftAt }
    revisions(fields: ["title", "description"]) {
      at position by { name }
      changes { field before after words { kind text } }
      votesBefore { net } votesAfter { net }
    }
    inferences { position kind likelyCause field delta ours theirs seenAt }
    ofTitle: provenance(field: "title") { ...Source }
    ofText: provenance(field: "description") { ...Source }
    ofStatus: provenance(field: "status") { ...Source }
    ofType: provenance(field: "type") { ...Source }
    ofVotes: provenance(field: "votes") { ...Source }
    timeline(last: $last) {
      totalCount
      nodes {
        position type origin occurredAt occurredAssumed erased summary
        user { name }
        changes { field before after words { kind text } }
      }
    }
  }
}
fragment Source on Provenance { event { position occurredAt origin summary } }`;

/** What two moments differ by. */
export const CHANGES = `query Changes($from: AsOf!, $to: AsOf, $productId: ID) {
  boardDiff(from: $from, to: $to, productId: $productId) {
    added { ...Brief }
    removed { ...Brief }
    changed {
      before { ...Brief }
      after { ...Brief }
      changes { field before after words { kind text } }
    }
  }
}
fragment Brief on Item { id title status { key label role } votes { net } }`;

/** How far everything has got. */
export const PROJECTIONS = `query Projections($productId: ID) {
  projections {
    name state position head lagEvents lagSeconds ratePerSecond etaSeconds parked rebuildProgress lastError
  }
  sweeps(states: RUNNING, productId: $productId) { kind progress requests events }
  ingest(productId: $productId) { knownSince backfilledAt lastEventAt eventsLastHour duplicatesDropped quarantined quietAlarm }
  drift(first: 10, productId: $productId) { item { id title } field ours theirs likelyCause }
}`;

/** The newest events, and those to begin the feed with. */
export const NEWEST = `query Newest($productId: ID, $last: Int!) {
  events(productId: $productId, last: $last) { nodes { occurredAt } }
  news: events(productId: $productId, last: $last, filter: {origins: [WEBHOOK, IMPORT, RECONCILE]}) {
    nodes {${EVENT}
    }
  }
}`;

/** Every event from now on, or after a position. */
export const LIVE_EVENTS = `subscription Live($after: Position, $productId: ID) {
  events(after: $after, productId: $productId) {${EVENT}
  }
}`;

/** A link that opens a question in GraphiQL. */
export function graphiql(document, variables) {
  return `graphql?${new URLSearchParams({ query: document, variables: JSON.stringify(variables, null, 2) })}`;
}
