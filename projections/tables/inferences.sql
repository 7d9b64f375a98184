-- What we conclude and nobody said: totals that moved otherwise than by the votes we saw. Sleekplan announces
-- no withdrawn vote and no merge, so a total that moves by itself is all there is to see of them. Derived
-- rows, marked INFERRED, never in the log, and never with a voter.

-- name: tables
create table {inferences} (
    position      bigint      not null,
    ordinal       smallint    not null,
    product_id    bigint      not null,
    item_id       text        not null,
    kind          text        not null,
    field         text        not null,
    delta         int         not null,
    ours          int         not null,
    theirs        int         not null,
    occurred_at   timestamptz not null,
    likely_cause  text        not null,
    user_id       text,
    explained_by  bigint
);
comment on column {inferences}.explained_by is 'The event that told it later: who voted or took it back, or which item was merged.';
comment on column {inferences}.user_id is 'Always null: who it was, was not told.';

-- name: indexes
alter table {inferences} add primary key (position, ordinal);
create index on {inferences} (product_id, item_id, position);
create index on {inferences} (product_id, position);

-- name: apply.drift
-- only with: moved totals
-- Between two neighbouring posts that were each the newest when they came, a total should move by the
-- votes that were delivered between them. A post that was fetched is where counting begins anew: what had moved
-- before it, nobody was there to see, and what was fetched with it is named by its own events.
insert into {inferences} (
    position, ordinal, product_id, item_id, kind, field, delta, ours, theirs, occurred_at, likely_cause
)
select s.position, t.ordinal, s.product_id, s.item_id,
       case when s.up = -s.down then 'VOTE_CHANGED' when t.delta < 0 then 'VOTE_WITHDRAWN' else 'COUNT_DRIFT' end,
       t.field, t.delta, t.theirs - t.delta, t.theirs, s.occurred_at,
       case when s.up = -s.down then 'changed votes' when t.delta < 0 then 'withdrawn votes'
            else 'missed deliveries' end
  from (
       select p.position, p.product_id, p.item_id, p.occurred_at, p.votes_up, p.votes_down,
              nullif(split_part(substr(p.told, 68), ',', 1), '')::int
                  - nullif(split_part(substr(p.before, 68), ',', 1), '')::int as up,
              nullif(split_part(substr(p.told, 68), ',', 2), '')::int
                  - nullif(split_part(substr(p.before, 68), ',', 2), '')::int as down
         from {posts} p
        where p.newest
          and not p.fetched
          and substr(read_model.bytes_of(p.told), 68) <> substr(read_model.bytes_of(p.before), 68)
       ) s
 cross join lateral (
       values (1, 'votes_up', s.up, s.votes_up), (2, 'votes_down', s.down, s.votes_down)
       ) t (ordinal, field, delta, theirs)
 where t.delta <> 0;

-- name: settle.merges
-- only with: moved totals
-- only if: exists (select from {inferences} where position > $1 and position <= $2 and kind = 'COUNT_DRIFT')
-- A merge closes its source and moves the votes: another item of the board was marked merged within the hour.
update {inferences} n
   set kind = 'LIKELY_MERGE',
       likely_cause = 'merge of item ' || s.item_id
  from (
       select i.position, i.ordinal, c.item_id
         from {inferences} i
        cross join lateral (
              select c.item_id
                from {item_contents} c
               where c.product_id = i.product_id
                 and c.status = 'merged'
                 and not c.again
                 and c.item_id <> i.item_id
                 and c.position < i.position
                 and c.occurred_at between i.occurred_at - interval '1 hour' and i.occurred_at
                 -- One that was told to be merged into another is not behind it.
                 and not exists (
                     select
                       from {item_contents} m
                      where m.product_id = c.product_id
                        and m.item_id = c.item_id
                        and m.merged_into not in ('', i.item_id)
                        and m.position < i.position
                 )
               order by c.occurred_at desc, c.position desc
               limit 1
              ) c
        where i.position > $1
          and i.position <= $2
          and i.kind = 'COUNT_DRIFT'
       ) s
 where n.position = s.position
   and n.ordinal = s.ordinal;

-- name: settle.explained
-- only with: post told, moved totals, fetched
-- What was concluded, and told since: a vote that was fetched and moves the total that way, or the merge itself. What came
-- before the step has explained what it could.
update {inferences} n
   set explained_by = s.explained_by
  from (
       select f.position, f.ordinal, min(f.explained_by) as explained_by
         from (
              select i.position, i.ordinal, v.position as explained_by
                from {event_facts} v
                join {inferences} i
                  on i.product_id = v.product_id and i.item_id = v.item_id and i.position < v.position
               where v.position > $1
                 and v.position <= $2
                 and v.origin in ('BACKFILL', 'RECONCILE')
                 and sign(case i.field when 'votes_up' then v.effect_up else v.effect_down end) = sign(i.delta)
                 and i.explained_by is null
               union all
              select i.position, i.ordinal, c.position
                from {item_contents} c
                join {inferences} i on i.product_id = c.product_id and i.item_id = c.merged_into
               where c.position > $1
                 and c.position <= $2
                 and c.merged_into <> ''
                 and not c.again
                 and i.delta > 0
                 and i.occurred_at between c.occurred_at - interval '1 hour' and c.occurred_at + interval '1 hour'
                 and i.explained_by is null
               union all
              -- Apart from those above: by `or`, each step reads every merge there was (65 instead of 4 microseconds an event).
              select i.position, i.ordinal, c.position
                from {item_contents} c
                join {inferences} i on i.product_id = c.product_id and i.item_id = c.merged_into
               where i.position > $1
                 and i.position <= $2
                 and c.position <= $2
                 and c.merged_into <> ''
                 and not c.again
                 and i.delta > 0
                 and i.occurred_at between c.occurred_at - interval '1 hour' and c.occurred_at + interval '1 hour'
                 and i.explained_by is null
              ) f
        group by f.position, f.ordinal
       ) s
 where n.position = s.position
   and n.ordinal = s.ordinal;
