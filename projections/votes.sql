-- Votes: who voted for what, as far as it was told. Each vote event says all that is known of a vote, so
-- the newest by key is the vote. A voter who was not told is the event's position, nameless.

-- name: tables
create table {votes} (
    product_id   bigint      not null,
    item_id      text        not null,
    voter        text        not null,
    user_id      text,
    value        smallint,
    withdrawn    boolean     not null,
    cast_at      timestamptz not null,
    occurred_at  timestamptz not null,
    position     bigint      not null,
    told         text collate "C" not null
);
comment on column {votes}.told is 'Key of the newest vote event and its direction: what a step compares the next one with.';

-- name: keys
alter table {votes} add primary key (product_id, item_id, voter);

-- name: indexes
create index on {votes} (product_id, user_id, occurred_at) where user_id is not null;
create index on {votes} (product_id, cast_at);
create index on {votes} (product_id, item_id, cast_at desc, voter);

-- name: apply.votes
-- only with: vote
insert into {votes} as v (
    product_id, item_id, voter, user_id, value, withdrawn, cast_at, occurred_at, position, told
)
select distinct on (b.item_id collate "C", b.voter collate "C", b.product_id)
       b.product_id, b.item_id, b.voter, b.user_id, b.value, b.withdrawn, b.cast_at, b.occurred_at, b.position, b.told
  from {ballots} b
 where b.newest
 order by b.item_id collate "C", b.voter collate "C", b.product_id, b.position desc
    on conflict (product_id, item_id, voter) do update
   set value = excluded.value,
       withdrawn = excluded.withdrawn,
       cast_at = excluded.cast_at,
       occurred_at = excluded.occurred_at,
       position = excluded.position,
       told = excluded.told;
