import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';
export type Maybe<T> = T | null;
export type InputMaybe<T> = Maybe<T>;
export type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
export type MakeOptional<T, K extends keyof T> = Omit<T, K> & { [SubKey in K]?: Maybe<T[SubKey]> };
export type MakeMaybe<T, K extends keyof T> = Omit<T, K> & { [SubKey in K]: Maybe<T[SubKey]> };
export type MakeEmpty<T extends { [key: string]: unknown }, K extends keyof T> = { [_ in K]?: never };
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** All built-in and custom scalars, mapped to their actual values */
export type Scalars = {
  ID: { input: string; output: string; }
  String: { input: string; output: string; }
  Boolean: { input: boolean; output: boolean; }
  Int: { input: number; output: number; }
  Float: { input: number; output: number; }
  /** A moment: RFC 3339, answered in UTC, like `2026-06-01T09:00:00Z`. */
  DateTime: { input: string; output: string; }
  /** A length of time: ISO 8601, like `P7D`, `PT12H` or `P1M`; answered in days and smaller. */
  Duration: { input: string; output: string; }
  /** Any JSON value, as Sleekplan sent it. */
  JSON: { input: unknown; output: unknown; }
  /** The place of an event in the log: 1, 2, 3 … without gaps. A JSON number of up to 64 bits; as an argument its digits in a string are taken as well. */
  Position: { input: number; output: number; }
};

/** The moment to read at. A position is exact and never changes its answer; a time on the clock OCCURRED can, when a late event arrives. Both together read what was known at the position of what had happened by the time. */
export type AsOf = {
  /** The clock that `time` is on. */
  clock?: Clock;
  /** The `extensions.cursor` of an answer: as its position, and refused where the log no longer holds what that answer was read from. */
  cursor?: InputMaybe<Scalars['String']['input']>;
  /** Everything known up to that event, inclusive. */
  position?: InputMaybe<Scalars['Position']['input']>;
  /** Everything that happened up to then, inclusive. */
  time?: InputMaybe<Scalars['DateTime']['input']>;
};

/** How long one step of a series is. */
export type Bucket =
  /** A day, from midnight of the time zone asked for. */
  | 'DAY'
  /** An hour. */
  | 'HOUR'
  /** A calendar month. */
  | 'MONTH'
  /** A week, from Monday. */
  | 'WEEK';

/** Which changelog entries. Deleted ones only where `deleted` asks for them. */
export type ChangelogFilter = {
  /** All of these as well. */
  and?: InputMaybe<Array<ChangelogFilter>>;
  /** Only deleted ones (true), only others (false, the default), or both (null). */
  deleted?: InputMaybe<Scalars['Boolean']['input']>;
  /** Only drafts (true) or only others (false). */
  draft?: InputMaybe<Scalars['Boolean']['input']>;
  /** Linked to this item: an opaque id. */
  itemId?: InputMaybe<IdFilter>;
  /** Not this; what is unknown passes. */
  not?: InputMaybe<ChangelogFilter>;
  /** At least one of these as well. */
  or?: InputMaybe<Array<ChangelogFilter>>;
  /** When it was published. */
  publishedAt?: InputMaybe<DateTimeFilter>;
  /** The title. */
  title?: InputMaybe<StringFilter>;
  /** The type's key. */
  type?: InputMaybe<StringFilter>;
};

/** What changelog entries can be sorted by. */
export type ChangelogOrder =
  /** When it was published. */
  | 'PUBLISHED_AT';

/** How changelog entries are sorted. */
export type ChangelogOrderBy = {
  /** Which way; left out, the way that is usual for the field. */
  direction?: InputMaybe<Direction>;
  /** What to sort by. */
  field: ChangelogOrder;
};

/** Which clock a time is on. */
export type Clock =
  /** Sleekplan's: when it happened there. */
  | 'OCCURRED'
  /** Ours: when this log learnt of it. */
  | 'RECORDED';

/** Which comments. Deleted ones only where `deleted` asks for them. */
export type CommentFilter = {
  /** All of these as well. */
  and?: InputMaybe<Array<CommentFilter>>;
  /** By this user: an opaque id. */
  authorId?: InputMaybe<IdFilter>;
  /** When it was written. */
  createdAt?: InputMaybe<DateTimeFilter>;
  /** Only deleted ones (true), only others (false, the default), or both (null). */
  deleted?: InputMaybe<Scalars['Boolean']['input']>;
  /** On this item: an opaque id. */
  itemId?: InputMaybe<IdFilter>;
  /** How many like it. */
  likes?: InputMaybe<IntFilter>;
  /** Not this; what is unknown passes. */
  not?: InputMaybe<CommentFilter>;
  /** At least one of these as well. */
  or?: InputMaybe<Array<CommentFilter>>;
  /** An answer to this comment: an opaque id. */
  parentId?: InputMaybe<IdFilter>;
  /** Pinned (true) or not, as far as was told (false). */
  pinned?: InputMaybe<Scalars['Boolean']['input']>;
  /** Not told to be a private note (true), or one (false). */
  public?: InputMaybe<Scalars['Boolean']['input']>;
  /** The text. */
  text?: InputMaybe<StringFilter>;
};

/** What comments can be sorted by. */
export type CommentOrder =
  /** When it was written. */
  | 'CREATED_AT'
  /** How many like it. */
  | 'LIKES';

/** How comments are sorted. */
export type CommentOrderBy = {
  /** Which way; left out, the way that is usual for the field. */
  direction?: InputMaybe<Direction>;
  /** What to sort by. */
  field: CommentOrder;
};

/** Compares a moment. */
export type DateTimeFilter = {
  /** Later. */
  gt?: InputMaybe<Scalars['DateTime']['input']>;
  /** Then or later. */
  gte?: InputMaybe<Scalars['DateTime']['input']>;
  /** Unknown (true) or known (false). */
  isNull?: InputMaybe<Scalars['Boolean']['input']>;
  /** Earlier. */
  lt?: InputMaybe<Scalars['DateTime']['input']>;
  /** Then or earlier. */
  lte?: InputMaybe<Scalars['DateTime']['input']>;
  /** In this window. */
  within?: InputMaybe<Window>;
};

/** Which way a list is sorted. */
export type Direction =
  /** Smallest, oldest first. */
  | 'ASC'
  /** Greatest, newest first. */
  | 'DESC';

/** Which events. */
export type EventFilter = {
  /** With one of these actions, as Sleekplan names them: `item.update`. */
  actions?: InputMaybe<Array<Scalars['String']['input']>>;
  /** All of these as well. */
  and?: InputMaybe<Array<EventFilter>>;
  /** Changed at least one of these fields: `title`, `description`, `status`, … */
  changedFields?: InputMaybe<Array<Scalars['String']['input']>>;
  /** What the action is about: `item`, `vote`, `comment`, … */
  entity?: InputMaybe<StringFilter>;
  /** About this item: an opaque id. */
  itemId?: InputMaybe<Scalars['ID']['input']>;
  /** Not this; what is unknown passes. */
  not?: InputMaybe<EventFilter>;
  /** Happened in this window, on Sleekplan's clock. */
  occurred?: InputMaybe<Window>;
  /** At least one of these as well. */
  or?: InputMaybe<Array<EventFilter>>;
  /** From one of these. */
  origins?: InputMaybe<Array<Origin>>;
  /** The place in the log. */
  position?: InputMaybe<PositionFilter>;
  /** Learnt in this window, on our clock. */
  recorded?: InputMaybe<Window>;
  /** Of one of these types. */
  types?: InputMaybe<Array<EventType>>;
  /** Done by this user: an opaque id. */
  userId?: InputMaybe<Scalars['ID']['input']>;
};

/** What events can be sorted by. */
export type EventOrder =
  /** Sleekplan's clock; ties by position. */
  | 'OCCURRED_AT'
  /** Their place in the log: the order in which they arrived. */
  | 'POSITION';

/** How events are sorted. */
export type EventOrderBy = {
  /** Which way; left out, the way that is usual for the field. */
  direction?: InputMaybe<Direction>;
  /** What to sort by. */
  field: EventOrder;
};

/** What an event is about, by what it changed. */
export type EventType =
  /** A changelog entry was published, or drafted. */
  | 'CHANGELOG_CREATED'
  /** A changelog entry was deleted. */
  | 'CHANGELOG_DELETED'
  /** A changelog entry was edited. */
  | 'CHANGELOG_EDITED'
  /** Somebody follows the changelog. */
  | 'CHANGELOG_SUBSCRIBED'
  /** A comment was written. */
  | 'COMMENT_CREATED'
  /** A comment was deleted. */
  | 'COMMENT_DELETED'
  /** A comment was edited. */
  | 'COMMENT_EDITED'
  /** An item was submitted. */
  | 'ITEM_CREATED'
  /** An item was deleted. */
  | 'ITEM_DELETED'
  /** An item's text, type or other field was changed. */
  | 'ITEM_EDITED'
  /** An item moved to another status. */
  | 'ITEM_STATUS_CHANGED'
  /** An item was merged into another one, as its post says. */
  | 'MERGED'
  /** An action that this version does not know. */
  | 'OTHER'
  /** A satisfaction answer was given. */
  | 'SATISFACTION_GIVEN'
  /** What something was like was seen at a moment; nobody did anything then. */
  | 'SNAPSHOT'
  /** Somebody follows an item. */
  | 'SUBSCRIBED'
  /** What another event had told: a delivery that came late, or that was fetched before. Counted once. */
  | 'TOLD_AGAIN'
  /** Somebody follows an item no longer. */
  | 'UNSUBSCRIBED'
  /** A user was created. */
  | 'USER_CREATED'
  /** A user was deleted. */
  | 'USER_DELETED'
  /** A user's data was changed. */
  | 'USER_EDITED'
  /** Somebody voted. */
  | 'VOTE_CAST'
  /** Somebody turned their vote round. */
  | 'VOTE_CHANGED'
  /** Somebody took their vote back. */
  | 'VOTE_WITHDRAWN';

/** Compares a number. */
export type FloatFilter = {
  /** Greater. */
  gt?: InputMaybe<Scalars['Float']['input']>;
  /** Greater or equal. */
  gte?: InputMaybe<Scalars['Float']['input']>;
  /** Unknown (true) or known (false). */
  isNull?: InputMaybe<Scalars['Boolean']['input']>;
  /** Less. */
  lt?: InputMaybe<Scalars['Float']['input']>;
  /** Less or equal. */
  lte?: InputMaybe<Scalars['Float']['input']>;
};

/** What groups of a statistic are made by. */
export type GroupBy =
  /** The month in which it began: entered the first stage, or was submitted. */
  | 'MONTH'
  /** One group of all. */
  | 'NONE'
  /** The item's status now. */
  | 'STATUS'
  /** The item's type. */
  | 'TYPE'
  /** The week in which it began: entered the first stage, or was submitted. */
  | 'WEEK';

/** Compares an id. */
export type IdFilter = {
  /** This one. */
  eq?: InputMaybe<Scalars['ID']['input']>;
  /** One of these. */
  in?: InputMaybe<Array<Scalars['ID']['input']>>;
  /** Unknown (true) or known (false). */
  isNull?: InputMaybe<Scalars['Boolean']['input']>;
};

/** What was concluded from totals that no event explains. */
export type InferenceKind =
  /** A total moved otherwise than by the votes seen. */
  | 'COUNT_DRIFT'
  /** Totals jumped as another item was closed as merged. */
  | 'LIKELY_MERGE'
  /** One total fell as the other rose: a vote was probably turned round. */
  | 'VOTE_CHANGED'
  /** A total fell: a vote was probably taken back. */
  | 'VOTE_WITHDRAWN';

/** Compares a whole number. */
export type IntFilter = {
  /** Equal. */
  eq?: InputMaybe<Scalars['Int']['input']>;
  /** Greater. */
  gt?: InputMaybe<Scalars['Int']['input']>;
  /** Greater or equal. */
  gte?: InputMaybe<Scalars['Int']['input']>;
  /** One of these. */
  in?: InputMaybe<Array<Scalars['Int']['input']>>;
  /** Unknown (true) or known (false). */
  isNull?: InputMaybe<Scalars['Boolean']['input']>;
  /** Less. */
  lt?: InputMaybe<Scalars['Int']['input']>;
  /** Less or equal. */
  lte?: InputMaybe<Scalars['Int']['input']>;
  /** Not equal; what is unknown counts as not equal. */
  ne?: InputMaybe<Scalars['Int']['input']>;
};

/** Which items. What is named must all hold; deleted items only where `deleted` asks for them. */
export type ItemFilter = {
  /** All of these as well. */
  and?: InputMaybe<Array<ItemFilter>>;
  /** Its author: opaque ids of users. */
  authorId?: InputMaybe<IdFilter>;
  /** The number of comments. */
  commentCount?: InputMaybe<IntFilter>;
  /** When it was submitted. */
  createdAt?: InputMaybe<DateTimeFilter>;
  /** Only deleted ones (true), only others (false, the default), or both (null). */
  deleted?: InputMaybe<Scalars['Boolean']['input']>;
  /** Deleted in this window; implies `deleted: true`. */
  deletedIn?: InputMaybe<Window>;
  /** The effort, 0 (unset) to 3. */
  effort?: InputMaybe<IntFilter>;
  /** When it is expected. */
  estimated?: InputMaybe<StringFilter>;
  /** It has stood in its status for longer than this. */
  inStatusLongerThan?: InputMaybe<Scalars['Duration']['input']>;
  /** When somebody last did something about it. */
  lastActivityAt?: InputMaybe<DateTimeFilter>;
  /** Merged into this item: an opaque id. */
  mergedIntoId?: InputMaybe<IdFilter>;
  /** Not this; what is unknown passes. */
  not?: InputMaybe<ItemFilter>;
  /** At least one of these as well. */
  or?: InputMaybe<Array<ItemFilter>>;
  /** Its owner: an opaque id. */
  ownerId?: InputMaybe<IdFilter>;
  /** Sleekplan's impact score. */
  scoring?: InputMaybe<FloatFilter>;
  /** Words of title, description and comments together: "a phrase", -without, this or that. As they are written, by no language's rules, case and accents aside; Chinese and the like by any part. */
  search?: InputMaybe<Scalars['String']['input']>;
  /** Sleekplan's id. */
  sleekplanId?: InputMaybe<IdFilter>;
  /** The status's key. */
  status?: InputMaybe<StringFilter>;
  /** What the status means: one of these. */
  statusRole?: InputMaybe<Array<StatusRole>>;
  /** When it entered its status. */
  statusSince?: InputMaybe<DateTimeFilter>;
  /** The number of subscribers. */
  subscriberCount?: InputMaybe<IntFilter>;
  /** Its tags. */
  tags?: InputMaybe<StringListFilter>;
  /** The title. */
  title?: InputMaybe<StringFilter>;
  /** Sleekplan's trend. */
  trend?: InputMaybe<FloatFilter>;
  /** The type's key. */
  type?: InputMaybe<StringFilter>;
  /** When Sleekplan last changed it. */
  updatedAt?: InputMaybe<DateTimeFilter>;
  /** Votes against. */
  votesDown?: InputMaybe<IntFilter>;
  /** Votes for less votes against. */
  votesNet?: InputMaybe<IntFilter>;
  /** Votes for. */
  votesUp?: InputMaybe<IntFilter>;
};

/** What items can be sorted by. Ties go by product and Sleekplan's id. */
export type ItemOrder =
  /** When it was submitted. */
  | 'CREATED_AT'
  /** When somebody last did something about it. */
  | 'LAST_ACTIVITY_AT'
  /** How well it matches `filter.search`. */
  | 'RELEVANCE'
  /** How many tags it has. */
  | 'TAG_COUNT'
  /** How long it has stood in its status. */
  | 'TIME_IN_STATUS'
  /** Sleekplan's trend. */
  | 'TREND'
  /** When Sleekplan last changed it. */
  | 'UPDATED_AT'
  /** Net votes. */
  | 'VOTES'
  /** Net votes gained in the argument `window`. */
  | 'VOTES_IN_WINDOW';

/** How items are sorted. */
export type ItemOrderBy = {
  /** Which way; left out, the way that is usual for the field. */
  direction?: InputMaybe<Direction>;
  /** What to sort by. */
  field: ItemOrder;
};

/** What is counted. */
export type Metric =
  /** Events of any kind about the item. */
  | 'ACTIVITY'
  /** Comments, by Sleekplan's total. */
  | 'COMMENTS'
  /** Votes for less votes against. */
  | 'NET_VOTES'
  /** Subscribers, by Sleekplan's total. */
  | 'SUBSCRIBERS'
  /** Votes for. */
  | 'UPVOTES';

/** By which date an event that was fetched stands where it does. */
export type ObservedClock =
  /** When Sleekplan says that it was made. */
  | 'CREATED'
  /** When it was seen to be so: it may have been so for long. */
  | 'SEEN'
  /** When Sleekplan says that it was edited last. */
  | 'UPDATED';

/** Where an event came from. */
export type Origin =
  /** Fetched from Sleekplan's API. */
  | 'BACKFILL'
  /** Read from a file. */
  | 'IMPORT'
  /** Concluded from totals; no event says it. */
  | 'INFERRED'
  /** Found by comparing with Sleekplan's API; no delivery told it. */
  | 'RECONCILE'
  /** Delivered by Sleekplan. */
  | 'WEBHOOK';

/** Compares a position. */
export type PositionFilter = {
  /** After. */
  gt?: InputMaybe<Scalars['Position']['input']>;
  /** At or after. */
  gte?: InputMaybe<Scalars['Position']['input']>;
  /** Before. */
  lt?: InputMaybe<Scalars['Position']['input']>;
  /** At or before. */
  lte?: InputMaybe<Scalars['Position']['input']>;
};

/** What a projection is doing. */
export type ProjectionState =
  /** It is installed here no more; its tables stay as they were. */
  | 'ABSENT'
  /** It is behind the log, and moving. */
  | 'CATCHING_UP'
  /** Its last step or rebuild failed; `lastError` says why. */
  | 'FAILED'
  /** It holds all that the log holds. */
  | 'LIVE'
  /** Its tables were counted by other rules than today's; a rebuild is due. */
  | 'OUTDATED'
  /** It is counted again beside the tables that are read. */
  | 'REBUILDING'
  /** It is behind the log, and has not moved for 15 seconds: nothing projects. */
  | 'STUCK';

/** What has become of a delivery in quarantine. */
export type QuarantineState =
  /** It was discarded; its bytes are kept. */
  | 'DISCARDED'
  /** It waits for a decision. */
  | 'OPEN'
  /** A retry made an event of it. */
  | 'RETRIED';

/** Whether a reaction tells what happens. */
export type ReactionStanding =
  /** It is in the file no more; its place is kept. */
  | 'ABSENT'
  /** Somebody paused it. */
  | 'PAUSED'
  /** It tells what happens. */
  | 'RUNNING'
  /** It gave up; `problem` says why. */
  | 'STOPPED';

/** Which satisfaction answers. */
export type SatisfactionFilter = {
  /** All of these as well. */
  and?: InputMaybe<Array<SatisfactionFilter>>;
  /** When it was given. */
  answeredAt?: InputMaybe<DateTimeFilter>;
  /** The survey's group key. */
  group?: InputMaybe<StringFilter>;
  /** Not this; what is unknown passes. */
  not?: InputMaybe<SatisfactionFilter>;
  /** At least one of these as well. */
  or?: InputMaybe<Array<SatisfactionFilter>>;
  /** By this user: an opaque id. */
  userId?: InputMaybe<IdFilter>;
  /** 1 to 5. */
  value?: InputMaybe<IntFilter>;
};

/** What satisfaction answers can be sorted by. */
export type SatisfactionOrder =
  /** When it was given. */
  | 'ANSWERED_AT';

/** How satisfaction answers are sorted. */
export type SatisfactionOrderBy = {
  /** Which way; left out, the way that is usual for the field. */
  direction?: InputMaybe<Direction>;
  /** What to sort by. */
  field: SatisfactionOrder;
};

/** What a status means: given by configuration, with defaults for common keys. */
export type StatusRole =
  /** Closed without being made, or merged. */
  | 'DECLINED'
  /** Shipped. */
  | 'DONE'
  /** Not decided. */
  | 'OPEN'
  /** Promised or being made. */
  | 'ROADMAP';

/** Compares text. */
export type StringFilter = {
  /** Contains this, in any case of letters. */
  contains?: InputMaybe<Scalars['String']['input']>;
  /** Equal. */
  eq?: InputMaybe<Scalars['String']['input']>;
  /** One of these. */
  in?: InputMaybe<Array<Scalars['String']['input']>>;
  /** Unknown (true) or known (false). */
  isNull?: InputMaybe<Scalars['Boolean']['input']>;
  /** Not equal; what is unknown counts as not equal. */
  ne?: InputMaybe<Scalars['String']['input']>;
  /** None of these; what is unknown does not pass. */
  notIn?: InputMaybe<Array<Scalars['String']['input']>>;
  /** Begins so, in any case of letters. */
  startsWith?: InputMaybe<Scalars['String']['input']>;
};

/** Compares a list of texts. */
export type StringListFilter = {
  /** This is in it. */
  has?: InputMaybe<Scalars['String']['input']>;
  /** All of these are in it. */
  hasAll?: InputMaybe<Array<Scalars['String']['input']>>;
  /** At least one of these is in it. */
  hasAny?: InputMaybe<Array<Scalars['String']['input']>>;
  /** Nothing is in it (true) or something is (false); unknown is neither. */
  isEmpty?: InputMaybe<Scalars['Boolean']['input']>;
  /** Unknown (true) or known (false). */
  isNull?: InputMaybe<Scalars['Boolean']['input']>;
};

/** Which subscriptions. Ended ones only where `active` asks for them. */
export type SubscriptionFilter = {
  /** Only active ones (true, the default), only ended ones (false), or both (null). */
  active?: InputMaybe<Scalars['Boolean']['input']>;
  /** All of these as well. */
  and?: InputMaybe<Array<SubscriptionFilter>>;
  /** To this item: an opaque id. */
  itemId?: InputMaybe<IdFilter>;
  /** Not this; what is unknown passes. */
  not?: InputMaybe<SubscriptionFilter>;
  /** At least one of these as well. */
  or?: InputMaybe<Array<SubscriptionFilter>>;
  /** When it began or ended. */
  since?: InputMaybe<DateTimeFilter>;
  /** By this user: an opaque id. */
  userId?: InputMaybe<IdFilter>;
};

/** What subscriptions can be sorted by. */
export type SubscriptionOrder =
  /** When it began. */
  | 'SINCE';

/** How subscriptions are sorted. */
export type SubscriptionOrderBy = {
  /** Which way; left out, the way that is usual for the field. */
  direction?: InputMaybe<Direction>;
  /** What to sort by. */
  field: SubscriptionOrder;
};

/** What a sweep is doing. */
export type SweepState =
  /** Somebody ended it for good. */
  | 'ABANDONED'
  /** It walked all that it was asked for. */
  | 'COMPLETE'
  /** It ended, and something is missing; the same call tries that again. */
  | 'PARTIAL'
  /** It asks Sleekplan's API. */
  | 'RUNNING'
  /** Its process ended before it did; the same call goes on with it. */
  | 'STOPPED';

/** How the walk through a list of Sleekplan's went. */
export type SweptState =
  /** It was walked to its end. */
  | 'DONE'
  /** It could not be read. */
  | 'FAILED'
  /** The key may not read it. */
  | 'FORBIDDEN'
  /** Its item was gone. */
  | 'GONE'
  /** It is still to be walked. */
  | 'OPEN';

/** A bound that is told when a total reaches it. */
export type Threshold = {
  /** The bound: told when the total was below it and now is not. */
  gte: Scalars['Int']['input'];
  /** The total. */
  metric: Metric;
  /** Compare what was gained in so long, instead of the whole total. */
  within?: InputMaybe<Scalars['Duration']['input']>;
};

/** Which users. */
export type UserFilter = {
  /** Did something in this window. */
  activeIn?: InputMaybe<Window>;
  /** All of these as well. */
  and?: InputMaybe<Array<UserFilter>>;
  /** Only deleted ones (true), only others (false, the default), or both (null). */
  deleted?: InputMaybe<Scalars['Boolean']['input']>;
  /** When an event first named them. */
  firstSeenAt?: InputMaybe<DateTimeFilter>;
  /** When they last did something. */
  lastActiveAt?: InputMaybe<DateTimeFilter>;
  /** The name. */
  name?: InputMaybe<StringFilter>;
  /** Not this; what is unknown passes. */
  not?: InputMaybe<UserFilter>;
  /** At least one of these as well. */
  or?: InputMaybe<Array<UserFilter>>;
  /** In this segment. */
  segment?: InputMaybe<Scalars['String']['input']>;
  /** Was active once, and not for so long. */
  silentSince?: InputMaybe<Scalars['Duration']['input']>;
  /** Sleekplan's id. */
  sleekplanId?: InputMaybe<IdFilter>;
  /** Of the team (true) or an end user (false). */
  teamMember?: InputMaybe<Scalars['Boolean']['input']>;
};

/** What users can be sorted by. */
export type UserOrder =
  /** When an event first named them. */
  | 'FIRST_SEEN_AT'
  /** When they last did something. */
  | 'LAST_ACTIVE_AT';

/** How users are sorted. */
export type UserOrderBy = {
  /** Which way; left out, the way that is usual for the field. */
  direction?: InputMaybe<Direction>;
  /** What to sort by. */
  field: UserOrder;
};

/** Which votes. Withdrawn ones only where `withdrawn` asks for them. */
export type VoteFilter = {
  /** All of these as well. */
  and?: InputMaybe<Array<VoteFilter>>;
  /** When it was cast. */
  castAt?: InputMaybe<DateTimeFilter>;
  /** On this item: an opaque id. */
  itemId?: InputMaybe<IdFilter>;
  /** Not this; what is unknown passes. */
  not?: InputMaybe<VoteFilter>;
  /** At least one of these as well. */
  or?: InputMaybe<Array<VoteFilter>>;
  /** By this user: an opaque id. */
  userId?: InputMaybe<IdFilter>;
  /** 1 for, -1 against. */
  value?: InputMaybe<IntFilter>;
  /** Only withdrawn ones (true), only others (false, the default), or both (null). */
  withdrawn?: InputMaybe<Scalars['Boolean']['input']>;
};

/** What votes can be sorted by. */
export type VoteOrder =
  /** When it was cast. */
  | 'CAST_AT';

/** How votes are sorted. */
export type VoteOrderBy = {
  /** Which way; left out, the way that is usual for the field. */
  direction?: InputMaybe<Direction>;
  /** What to sort by. */
  field: VoteOrder;
};

/** A half-open stretch of time: from `from`, before `to`; or the `last` so long. */
export type Window = {
  /** Its beginning, inclusive. */
  from?: InputMaybe<Scalars['DateTime']['input']>;
  /** So long, counted back from the moment that is read, in a filter of the subscription `events` from when each event was recorded; instead of from and to. */
  last?: InputMaybe<Scalars['Duration']['input']>;
  /** Its end, exclusive. */
  to?: InputMaybe<Scalars['DateTime']['input']>;
};

/** What happened to a stretch of words. */
export type WordKind =
  /** It stands in the text after. */
  | 'ADDED'
  /** It stood in the text before. */
  | 'REMOVED'
  /** It stands in both texts. */
  | 'SAME';

export type BoardQueryVariables = Exact<{
  moment?: InputMaybe<Scalars['DateTime']['input']>;
  first?: InputMaybe<Scalars['Int']['input']>;
}>;


export type BoardQuery = { __typename?: 'Query', items: { __typename?: 'ItemConnection', totalCount: number, nodes: Array<{ __typename?: 'Item', title?: string | null, statusSince?: string | null, status?: { __typename?: 'Status', key: string, label?: string | null, role?: StatusRole | null } | null, votes?: { __typename?: 'VoteTotals', up?: number | null, down?: number | null, net?: number | null } | null }> } };


export const BoardDocument = {"kind":"Document","definitions":[{"kind":"OperationDefinition","operation":"query","name":{"kind":"Name","value":"Board"},"variableDefinitions":[{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"moment"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"DateTime"}}},{"kind":"VariableDefinition","variable":{"kind":"Variable","name":{"kind":"Name","value":"first"}},"type":{"kind":"NamedType","name":{"kind":"Name","value":"Int"}},"defaultValue":{"kind":"IntValue","value":"5"}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"items"},"arguments":[{"kind":"Argument","name":{"kind":"Name","value":"first"},"value":{"kind":"Variable","name":{"kind":"Name","value":"first"}}},{"kind":"Argument","name":{"kind":"Name","value":"asOf"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"time"},"value":{"kind":"Variable","name":{"kind":"Name","value":"moment"}}}]}},{"kind":"Argument","name":{"kind":"Name","value":"orderBy"},"value":{"kind":"ObjectValue","fields":[{"kind":"ObjectField","name":{"kind":"Name","value":"field"},"value":{"kind":"EnumValue","value":"VOTES"}}]}}],"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"totalCount"}},{"kind":"Field","name":{"kind":"Name","value":"nodes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"title"}},{"kind":"Field","name":{"kind":"Name","value":"status"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"key"}},{"kind":"Field","name":{"kind":"Name","value":"label"}},{"kind":"Field","name":{"kind":"Name","value":"role"}}]}},{"kind":"Field","name":{"kind":"Name","value":"votes"},"selectionSet":{"kind":"SelectionSet","selections":[{"kind":"Field","name":{"kind":"Name","value":"up"}},{"kind":"Field","name":{"kind":"Name","value":"down"}},{"kind":"Field","name":{"kind":"Name","value":"net"}}]}},{"kind":"Field","name":{"kind":"Name","value":"statusSince"}}]}}]}}]}}]} as unknown as DocumentNode<BoardQuery, BoardQueryVariables>;