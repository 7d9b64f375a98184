// Every question that the page asks, in the words of the public API.

const EVENT = `
    position type origin occurredAt occurredAssumed recordedAt erased summary
    user { name }
    item { id title }`;

/** Where the log begins and ends, on both clocks. */
export const EXTENT = `query Extent($productId: ID) {
  first: events(productId: $productId, first: 1, orderBy: {field: OCCURRED_AT, direction: ASC}) {
    nodes { position occurredAt }
  }
  last: events(productId: $productId, first: 1, orderBy: {field: OCCURRED_AT, direction: DESC}) {
    nodes { position occurredAt recordedAt }
  }
}`;

/** How many events there were each day: the shape of the time bar. */
export const DENSITY = `query Density($productId: ID) {
  eventSeries(bucket: DAY, productId: $productId) { t events lastPosition }
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
fragment Step on EventConnection { nodes { position occurredAt recordedAt summary item { id } } }`;

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
export const ITEM = `query Item($id: ID!, $asOf: AsOf, $bucket: Bucket!, $last: Int!) {
  item(id: $id, asOf: $asOf) {
    id sleekplanId title description typeLabel type
    createdAt deletedAt commentCount subscriberCount rank
    status { key label role }
    author { name }
    votes { up down net }
    knownVotes { up down }
    voteSeries(bucket: $bucket) { t up down withdrawn cumulative }
    statusHistory { to { key label role } enteredAt leftAt lasted }
    revisions(fields: ["title", "description"]) {
      at position by { name }
      changes { field before after words { kind text } }
      votesBefore { net } votesAfter { net }
    }
    inferences { position kind field delta ours theirs seenAt likelyCause }
    ofTitle: provenance(field: "title") { event { position occurredAt origin summary } }
    ofText: provenance(field: "description") { event { position occurredAt origin summary } }
    ofStatus: provenance(field: "status") { event { position occurredAt origin summary } }
    ofType: provenance(field: "type") { event { position occurredAt origin summary } }
    ofVotes: provenance(field: "votes") { event { position occurredAt origin summary } }
    timeline(last: $last) {
      totalCount
      nodes {
        position type origin occurredAt occurredAssumed erased summary
        user { name }
        changes { field before after words { kind text } }
      }
    }
  }
}`;

/** What two moments differ by. */
export const CHANGES = `query Changes($from: AsOf!, $to: AsOf, $productId: ID) {
  boardDiff(from: $from, to: $to, productId: $productId) {
    added { id title status { key label role } votes { net } }
    removed { id title votes { net } }
    changed {
      before { status { key label } votes { net } }
      after { id title status { key label } votes { net } }
      changes { field before after words { kind text } }
    }
  }
}`;

/** How far everything has got. */
export const PROJECTIONS = `query Projections {
  projections {
    name state position head lagEvents lagSeconds ratePerSecond etaSeconds parked rebuildProgress lastError
  }
  ingest { lastEventAt eventsLastHour duplicatesDropped quarantined quietAlarm }
  drift(first: 10) { item { id title } field ours theirs seenAt likelyCause }
}`;

/** The newest events, to begin the feed with. */
export const NEWEST = `query Newest($productId: ID, $last: Int!) {
  events(productId: $productId, last: $last) {
    nodes {${EVENT}
    }
  }
}`;

/** Every event from now on, or after a position. */
export const LIVE_EVENTS = `subscription Live($after: Position, $filter: EventFilter) {
  events(after: $after, filter: $filter) {${EVENT}
  }
}`;

/** A link that opens a question in GraphiQL. */
export function graphiql(document, variables) {
  return `graphql?${new URLSearchParams({ query: document, variables: JSON.stringify(variables, null, 2) })}`;
}
