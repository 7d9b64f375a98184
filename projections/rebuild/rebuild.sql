-- Rebuilding: what is asked for, what runs, and the switch.

-- name: requested
-- The next rebuild to run: one whose process was lost goes first.
select rebuild, projections, state, generation, fingerprint, product_id, item_id, position, lanes, indexed, settled
  from read_model.rebuilds
 where state in ('REQUESTED', 'RUNNING')
 order by state desc, rebuild
 limit 1;

-- name: standing
-- What decides whether a count of a product that has begun will do: how often somebody was erased from its log, and
-- whether it was let go of. Either may have come after its events were read.
--   $1 product_id
select (select concat_ws(' ', count(*), max(requested_at)) from log.erasures where product_id = $1)
       || case when exists (select from log.departures where product_id = $1 and released_at is not null)
               then ' released' else '' end;

-- name: same
-- One that is asked for already, and will do: it has not begun, or nothing was erased since.
--   $1 projections  $2 product_id  $3 item_id  $4 the product's standing now  $5 whether one that is done will do
select rebuild
  from read_model.rebuilds
 where (state in ('REQUESTED', 'RUNNING') or $5 and state = 'DONE' and began_with is not null)
   and projections = $1
   and product_id is not distinct from $2
   and item_id is not distinct from $3
   and (began_with is null or began_with = $4)
 order by rebuild
 limit 1;

-- name: begin
-- Before the events of a product are read.
--   $1 rebuild  $2 the product's standing
update read_model.rebuilds
   set began_with = $2,
       started_at = clock_timestamp()
 where rebuild = $1;

-- name: add
-- Ask for a rebuild.
--   $1 projections  $2 fingerprint  $3 product_id  $4 item_id
insert into read_model.rebuilds (rebuild, projections, state, generation, fingerprint, product_id, item_id)
select coalesce(max(rebuild), 0) + 1, $1, 'REQUESTED', 0, $2, $3, $4
  from read_model.rebuilds
returning rebuild;

-- name: lock_list
lock table read_model.rebuilds in share row exclusive mode;

-- name: start
-- Begin, or go on with, a rebuild.
--   $1 rebuild  $2 generation  $3 and $4 each lane's position, and whether it has its indexes  $5 settled  $6 head
--   $7 projections  $8 fingerprint
update read_model.rebuilds
   set state = 'RUNNING',
       generation = $2,
       position = (select min(l.position) from unnest($3::bigint[]) as l (position)),
       lanes = $3,
       indexed = $4,
       settled = $5,
       head = $6,
       projections = $7,
       fingerprint = $8,
       started_at = coalesce(started_at, clock_timestamp())
 where rebuild = $1;

-- name: advance
-- In the transaction of a lane's step, so that its position and its rows are of one piece.
--   $1 rebuild  $2 lane  $3 first  $4 last  $5 indexed  $6 head  $7 events a second  $8 settled
update read_model.rebuilds
   set lanes[$2] = $4,
       indexed[$2] = $5,
       position = least($4, (
           select min(l.position)
             from unnest(lanes) with ordinality as l (position, lane)
            where l.lane <> $2
       )),
       head = $6,
       rate = $7,
       settled = $8,
       error = null
 where rebuild = $1
   and state = 'RUNNING'
   and lanes[$2] = $3
returning position;

-- name: follow
-- In the transaction of a step of all lanes together, once all is settled.
--   $1 rebuild  $2 first  $3 last  $4 head  $5 how many lanes
update read_model.rebuilds
   set lanes = array_fill($3::bigint, array[$5::int]),
       position = $3,
       head = $4,
       settled = true,
       error = null
 where rebuild = $1
   and state = 'RUNNING'
   and position = $2
returning position;

-- name: note_error
-- What a rebuild failed with that is tried again, until it gets on.
--   $1 rebuild  $2 error
update read_model.rebuilds
   set error = $2
 where rebuild = $1
   and state in ('REQUESTED', 'RUNNING');

-- name: finish
-- Ended: DONE at a position, or FAILED at the one that cannot be counted in.
--   $1 rebuild  $2 state  $3 error  $4 position
update read_model.rebuilds
   set state = $2,
       error = $3,
       position = coalesce($4, position),
       head = greatest(head, $4),
       finished_at = clock_timestamp()
 where rebuild = $1;

-- name: ended
-- How a rebuild ended.
--   $1 rebuild
select projections, state, position, error,
       coalesce(extract(epoch from finished_at - started_at), 0)::float8 as seconds
  from read_model.rebuilds
 where rebuild = $1
   and state in ('DONE', 'FAILED');

-- name: stopped_before
-- Whether the last rebuild of these by these statements stopped: it would again.
--   $1 fingerprint
select coalesce((
       select state = 'FAILED'
         from read_model.rebuilds
        where fingerprint = $1
          and product_id is null
        order by rebuild desc
        limit 1
       ), false);

-- name: switch
-- What is read from here on: one statement, so a reader's snapshot shows all of it or nothing.
--   $1 projections  $2 generation  $3 fingerprints  $4 position  $5 tables of each, separated by commas
update read_model.checkpoints c
   set generation = $2,
       fingerprint = n.fingerprint,
       tables = string_to_array(n.tables, ','),
       position = $4,
       moved_at = clock_timestamp(),
       last_error = null
  from unnest($1::text[], $3::text[], $5::text[]) as n (projection, fingerprint, tables)
 where c.projection = n.projection;

-- name: forget
-- Built-in projections of an older version, which this one knows no more.
--   $1 the projections that there are
delete from read_model.checkpoints
 where built_in
   and projection <> all ($1::text[])
returning generation, tables;

-- name: discard
-- Tables that nobody new reads; dropped after a while.
--   $1 tables
insert into read_model.discarded (table_name)
select t.table_name
  from unnest($1::text[]) as t (table_name)
    on conflict (table_name) do nothing;

-- name: to_drop
-- Tables that are read no longer: not by whoever holds a snapshot of before the switch, nor by views that could not be
-- made anew yet. Views first, as they stand on tables.
--   $1 grace in seconds
select d.table_name
  from read_model.discarded d
  left join pg_catalog.pg_class c on c.oid = to_regclass(d.table_name)
 where d.discarded_at < clock_timestamp() - make_interval(secs => $1)
   and not exists (select from read_model.shown s where s.child = c.oid)
   and not exists (
       select
         from pg_catalog.pg_stat_activity a
        where a.datname = current_database()
          and coalesce(a.backend_type, 'client backend') = 'client backend'
          and a.pid <> pg_backend_pid()
          and age(a.backend_xmin) >= age(d.discarded_by::xid)
          -- Where a dump was restored, the number is of another server, and may be of no transaction yet.
          and d.discarded_by < pg_snapshot_xmax(pg_current_snapshot())
       )
 order by coalesce(c.relkind = 'v', false) desc;

-- name: dropped
--   $1 tables
delete from read_model.discarded
 where table_name = any ($1::text[]);

-- name: stale
-- Projections whose tables were counted by other statements than today's, or that are new and behind.
--   $1 projections  $2 fingerprints
select c.projection
  from read_model.checkpoints c
  join unnest($1::text[], $2::text[]) as n (projection, fingerprint) on n.projection = c.projection
 where c.fingerprint <> n.fingerprint
    or c.built_in and c.position < (select max(b.position) from read_model.checkpoints b where b.built_in)
 order by c.projection;
