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

-- name: apply.cast
-- only with: vote
-- What nothing was told of before is a vote that is not there yet: `on conflict` takes twice as long.
insert into {votes} (
    product_id, item_id, voter, user_id, value, withdrawn, cast_at, occurred_at, position, told
)
select product_id, item_id, voter, user_id, value, withdrawn, cast_at, occurred_at, position, told
  from {ballots}
 where before is null;

-- name: apply.told_again
-- only if: exists (select from {ballots} where newest and before is not null)
update {votes} v
   set value = s.value,
       withdrawn = s.withdrawn,
       cast_at = s.cast_at,
       occurred_at = s.occurred_at,
       position = s.position,
       told = s.told
  from (
       select distinct on (b.item_id collate "C", b.voter collate "C", b.product_id) b.*
         from {ballots} b
        where b.newest
          and b.before is not null
        order by b.item_id collate "C", b.voter collate "C", b.product_id, b.position desc
       ) s
 where v.product_id = s.product_id
   and v.item_id = s.item_id
   and v.voter = s.voter;
