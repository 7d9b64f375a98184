-- What `recount doctor` asks of Postgres.

-- name: settings
-- The settings that decide whether what was acknowledged is safe.
select name, setting
  from pg_settings
 where name in ('server_version', 'server_version_num', 'fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum',
                'data_checksums', 'max_connections', 'server_encoding');

-- name: connections
-- How many connections there are beside ours, of the whole server.
select count(*) as connections from pg_stat_activity where backend_type = 'client backend';

-- name: clock
-- Postgres's clock, and whether the newest event lies ahead of it.
select clock_timestamp() as now,
       (select e.recorded_at from log.events e order by e.position desc limit 1) as newest_at;

-- name: unguarded
-- Tables of the log without the triggers that refuse change, or with these switched off.
select t.oid::regclass::text as name
  from pg_class t
 where (t.oid = 'log.events'::regclass
        or t.oid in (select i.inhrelid from pg_inherits i where i.inhparent = 'log.events'::regclass))
   and (select count(*)
          from pg_trigger g
         where g.tgrelid = t.oid
           and g.tgname in ('refuse_change', 'refuse_truncate')
           and g.tgenabled = 'O') < 2;

-- name: partitions
-- How many positions are left before the next partition has to be made.
select h.partitioned_to - coalesce((select e.position from log.events e order by e.position desc limit 1), 0) as left
  from log.head h;

-- name: parked
-- Events that projections set aside.
select count(*) as events from read_model.parked where not waiting;

-- name: not_replayed
-- Erasures that were cut off before the read model was counted again.
select count(*) as erasures from log.erasures where replayed_at is null;
