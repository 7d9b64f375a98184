-- What `recount doctor` asks of Postgres.

-- name: settings
-- The settings that decide whether what was acknowledged is safe.
select name, setting
  from pg_settings
 where name in ('server_version', 'server_version_num', 'fsync', 'full_page_writes', 'autovacuum',
                'data_checksums', 'max_connections', 'server_encoding');

-- name: connections
-- How many connections there are beside ours, of the whole server.
select count(*) as connections from pg_stat_activity where backend_type = 'client backend';

-- name: clock
-- Postgres's clock, and whether the newest event lies ahead of it.
select clock_timestamp() as now,
       (select e.recorded_at from log.events e order by e.position desc limit 1) as newest_at;

-- name: keys
-- The keys and tokens that open something; one that was rotated is told of by its successor.
select key.label, key.kind, key.last_used_at, key.expires_at
  from log.keys key
 where key.revoked_at is null
   and (key.expires_at is null
        or key.expires_at > clock_timestamp()
       and not exists (
           select from log.keys successor
            where (successor.kind, successor.label) = (key.kind, key.label)
              and successor.revoked_at is null
              and successor.expires_at is null
           ));

-- name: parked
-- Events that projections set aside.
select count(*) as events from read_model.parked where not waiting;

-- name: not_replayed
-- Erasures that were cut off before the read model was counted again.
select count(*) as erasures from log.erasures where replayed_at is null;

-- name: lacking
-- What our role lacks of what `recount sql grants` gives it; no row where it lacks nothing.
select what
  from (
       select 1 as place, 'temporary tables' as what
        where not has_database_privilege(current_database(), 'temporary')
       union all
       select 2, format('a schema %s, or the right to make it', s.name)
         from (values ('log'), ('read_model')) as s (name)
        where to_regnamespace(s.name) is null
          and not has_database_privilege(current_database(), 'create')
       union all
       select 3, format('%s in the schema %s', lower(p.privilege), n.nspname)
         from pg_catalog.pg_namespace n
        cross join (values ('USAGE'), ('CREATE')) as p (privilege)
        where n.nspname in ('log', 'read_model')
          and not has_schema_privilege(n.oid, p.privilege)
       union all
       select 4, format('to own %s tables in the schema %s', count(*), n.nspname)
         from pg_catalog.pg_class c
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname in ('log', 'read_model')
          and c.relkind in ('r', 'p')
          and not pg_has_role(c.relowner, 'usage')
        group by n.nspname
       ) as lacks
 order by place, what;

-- name: known_since
-- From when on each product's events were told as they happened.
select heard.product_id, (:known_since) as since
  from (select f.product_id, count(*) as told from {event_facts} as f
         where f.origin in ('WEBHOOK', 'IMPORT') group by f.product_id order by f.product_id limit 50) as heard
 order by heard.product_id;

-- name: earliest
select f.occurred_at
  from {event_facts} as f
 where f.product_id = heard.product_id and f.origin in ('WEBHOOK', 'IMPORT')
 order by f.occurred_at limit 51
