-- What only the database knows, sampled for /metrics and `recount doctor`.

-- name: log
-- The newest position and when it was recorded. An empty log has no row.
select position, extract(epoch from recorded_at)::float8 as recorded_at
  from log.events
 order by position desc
 limit 1;

-- name: quarantine
-- Deliveries that wait for somebody to look, and the oldest of them.
select count(*) as deliveries, extract(epoch from min(received_at))::float8 as oldest_at
  from log.quarantine
 where state = 'open';

-- name: keys
-- When each key and token that is not revoked was last used, and ends; by the name that its owner gave it, which
-- one that was rotated shares with its successor.
select kind, label, extract(epoch from max(last_used_at))::float8 as last_used_at,
       extract(epoch from case when bool_and(expires_at is not null) then max(expires_at) end)::float8 as expires_at
  from log.keys
 where revoked_at is null
   and (expires_at is null or expires_at > clock_timestamp())
 group by kind, label
 order by kind, label
 limit 100;

-- name: facts_table
-- The table of events by product that is read at present.
select format('read_model.%I', 'event_facts_' || c.generation) as name
  from read_model.checkpoints c
 where 'event_facts' = any (c.tables);

-- name: products
-- Each product's last event, and how many came in the 30 days before it; of none that another cell has. {event_facts} is the table that `facts_table` names.
select p.product_id,
       extract(epoch from l.recorded_at)::float8 as last_at,
       extract(epoch from clock_timestamp() - l.recorded_at)::float8 as age_seconds,
       (select count(*)
          from (select 1
                  from {event_facts} f
                 where f.product_id = p.product_id
                   and f.occurred_at > l.recorded_at - interval '30 days'
                   and f.occurred_at <= l.recorded_at
                 limit 30000) as month) / 30.0::float8 as usual_a_day
  from (:every_product) p
 cross join lateral (select f.recorded_at
                       from {event_facts} f
                      where f.product_id = p.product_id
                      order by f.position desc
                      limit 1) as l
 where not exists (select from log.departures d where d.product_id = p.product_id and d.left_at is not null)
 limit 50;

-- name: server
-- Postgres's version.
select current_setting('server_version') as version;

-- name: reactions
-- How far each rule of RECOUNT_REACTIONS has come, of those that the file has.
select name,
       state,
       greatest(coalesce((select e.position from log.events e order by e.position desc limit 1), 0) - position, 0) as behind,
       sent,
       (select count(*) from log.reactions_skipped s where s.reaction = r.name) as skipped,
       coalesce(extract(epoch from clock_timestamp() - failing_since), 0)::float8 as failing_seconds
  from log.reactions r
 where in_file;
