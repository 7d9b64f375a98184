-- Splitting a cell: what is asked of the one that is split (here) and of its replica, which becomes the other (there).

-- name: under_way
-- The split that has not ended.
select s.id, s.cell, s.from_cell, s.products, s.fenced_at, s.promoting_at
  from log.splits s
 where s.ended_at is null;

-- name: products
-- Every product of the log, each found by its first delivery.
with recursive each as (
    (select d.product_id from log.deliveries d order by d.product_id limit 1)
    union all
    select (select d.product_id from log.deliveries d where d.product_id > e.product_id order by d.product_id limit 1)
      from each e
     where e.product_id is not null
)
select e.product_id,
       (select d.cell from log.departures d where d.product_id = e.product_id) as cell
  from each e
 where e.product_id is not null
 order by e.product_id;

-- name: server
-- Which Postgres this is a copy of, whether it stands by, and whether this role may promote it.
select s.system_identifier, pg_is_in_recovery() as stands_by,
       has_function_privilege('pg_promote(boolean, integer)', 'execute') as may_promote
  from pg_control_system() s;

-- name: waited_for
-- How many replicas stream, where a commit waits for any.
select count(*)
  from pg_stat_replication
 where current_setting('synchronous_standby_names') <> '';

-- name: lock
-- No append until the end of this transaction.
select 1 from log.head for update;

-- name: begin
-- Fence: from this commit on nothing of these products is appended.
--   $1 id  $2 cell  $3 from_cell  $4 products
with begun as (
    insert into log.splits (id, cell, from_cell, products) values ($1, $2, $3, $4)
)
insert into log.departures (product_id, cell, split)
select p.product_id, $2, $1
  from unnest($4::bigint[]) as p (product_id);

-- name: flushed
-- Up to where everything committed is written.
select pg_current_wal_flush_lsn()::text;

-- name: replayed
-- Whether the replica has all up to there, and the split among it.
--   $1 flushed  $2 id
select pg_last_wal_replay_lsn() >= $1::text::pg_lsn
   and exists (select from log.splits s where s.id = $2);

-- name: stands_by
-- Whether a Postgres is a replica still.
select pg_is_in_recovery();

-- name: meet
-- A lock that two sessions of one database cannot have both.
--   $1 number
select pg_try_advisory_xact_lock($1::bigint);

-- name: known
-- Whether a Postgres knows of a split, and has ended it: null where it does not know.
--   $1 id
select (select s.ended_at is not null from log.splits s where s.id = $1);

-- name: promoting
-- From here on it can no longer be undone by itself.
--   $1 id
update log.splits set promoting_at = coalesce(promoting_at, clock_timestamp()) where id = $1;

-- name: promote
-- Have a replica take writes.
--   $1 seconds to wait
select pg_promote(true, $1);

-- name: come_back
-- Let the products of a split that has not ended come back.
--   $1 id
delete from log.departures where split = $1;

-- name: forget
-- Forget a split that nothing has left by.
--   $1 id
delete from log.splits where id = $1;

-- name: take
-- There: have the products of the split, and let the other cell have all else that is known.
--   $1 id  $2 from_cell  $3 the products that are not of the split
with theirs as (
    delete from log.departures d where d.split = $1
),
others as (
    insert into log.departures (product_id, cell, split, left_at)
    select p.product_id, $2, $1, clock_timestamp()
      from unnest($3::bigint[]) as p (product_id)
)
update log.splits set ended_at = clock_timestamp() where id = $1;

-- name: leave
-- Here: answer no more for the products of the split.
--   $1 id
with left_now as (
    update log.departures set left_at = clock_timestamp() where split = $1
)
update log.splits set ended_at = clock_timestamp() where id = $1;

-- name: held_for
-- Deliveries to be recorded on another cell, in the order in which they were held.
--   $1 cell  $2 limit
select h.id, h.received_at, h.origin, h.body
  from log.held h
  join log.departures d on d.product_id = h.product_id
 where d.cell = $1
 order by h.id
 limit $2;

-- name: held_for_here
-- Deliveries of products that have come back, or that are this cell's by now.
--   $1 limit
select h.id, h.received_at, h.origin, h.body
  from log.held h
 where not exists (select from log.departures d where d.product_id = h.product_id)
 order by h.id
 limit $1;

-- name: left_at_home
-- How many there are of these.
select count(*)
  from log.held h
 where not exists (select from log.departures d where d.product_id = h.product_id);

-- name: recorded
-- Let go of what is recorded.
--   $1 ids
delete from log.held where id = any ($1::bigint[]);

-- name: elsewhere
-- The products that other cells have, or are about to, and how many of their deliveries wait to be forwarded.
select d.product_id, d.cell, d.left_at, d.released_at,
       (select count(*) from log.held h where h.product_id = d.product_id) as held
  from log.departures d
 order by d.cell, d.product_id;

-- name: waiting
-- How many products other cells have, and how many deliveries of them wait here, by cell.
select d.cell, count(*) as products, count(d.left_at) as left_for_good, coalesce(sum(h.deliveries), 0)::bigint as held
  from log.departures d
  left join (select h.product_id, count(*) as deliveries from log.held h group by h.product_id) as h
    on h.product_id = d.product_id
 group by d.cell
 order by d.cell;

-- name: release
-- Count no more what other cells have: those of these products, or all. Returns which.
--   $1 products, or null
update log.departures d
   set released_at = coalesce(d.released_at, clock_timestamp())
 where d.left_at is not null
   and ($1::bigint[] is null or d.product_id = any ($1))
returning d.product_id;
