-- Votes: who voted for what, as far as it was told. Whether a vote stands is what its newest event (by key) says. Its
-- direction is that of the newest event that told one, and it was cast at the `created` of the newest that said it; where
-- none did, when the newest event happened that did not take it back. A voter who was not told is the event's position,
-- nameless.

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
    told         text collate "C" not null,
    said         text collate "C",
    dated        text collate "C"
);
comment on column {votes}.told is 'Key of the newest vote event and what it says: what a step compares the next one with.';
comment on column {votes}.said is 'The same of the newest event that told a direction, where the newest of all told none.';
comment on column {votes}.dated is 'How well another than the newest event tells when the vote was cast, and the same of that one.';

-- name: keys
alter table {votes} add primary key (item_id, voter, product_id);

-- name: indexes
create index on {votes} (user_id, product_id, occurred_at) where user_id is not null;
create index on {votes} (product_id, cast_at);
create index on {votes} (item_id, product_id, cast_at desc, voter);

-- name: apply.cast
-- only with: new vote
-- What nothing was told of before is a vote that is not there yet: `on conflict` takes twice as long.
insert into {votes} (
    product_id, item_id, voter, user_id, value, withdrawn, cast_at, occurred_at, position, told
)
select product_id, item_id, voter, user_id, value, withdrawn, coalesce(cast_at, occurred_at), occurred_at, position, told
  from {ballots}
 where first;

-- name: apply.told_again
-- only with: known vote
-- Each newest one was newer than all before it, so the last is the newest. One that came late may still be the newest
-- that told the direction, or when the vote was cast.
update {votes} v
   set value = case substr(k.said, 53, 1) when '+' then 1 when '-' then -1 end,
       withdrawn = substr(k.told, 52, 1) = '0',
       cast_at = k.cast_at,
       occurred_at = k.occurred_at,
       position = k.position,
       told = k.told,
       said = nullif(k.said, k.told),
       dated = nullif(k.dated, substr(k.told, 54, 1) || k.told)
  from (
       select o.product_id, o.item_id, o.voter,
              coalesce(n.told, o.told) as told,
              coalesce(n.occurred_at, o.occurred_at) as occurred_at,
              coalesce(n.position, o.position) as position,
              greatest(coalesce(o.said, case when substr(o.told, 53, 1) <> ' ' then o.told end), s.said) as said,
              greatest(b.dated, substr(d.told, 54, 1) || d.told) as dated,
              case when b.dated > substr(d.told, 54, 1) || d.told then o.cast_at
                   else coalesce(d.cast_at, d.occurred_at) end as cast_at
         from (
              select product_id, item_id, voter,
                     max(told) filter (where value is not null) as said,
                     max(position) filter (where newest) as newest,
                     (array_agg(position order by substr(told, 54, 1) || told desc))[1] as dating
                from {ballots}
               where not first
               group by product_id, item_id, voter
              ) s
         join {votes} o on o.product_id = s.product_id and o.item_id = s.item_id and o.voter = s.voter
        cross join lateral (select coalesce(o.dated, substr(o.told, 54, 1) || o.told) as dated) b
         join {ballots} d on d.position = s.dating
         left join {ballots} n on n.position = s.newest
       ) k
 where v.product_id = k.product_id
   and v.item_id = k.item_id
   and v.voter = k.voter;
