-- What state a projection is in: one answer for GraphQL, the page, the gauges and the doctor.

-- name: function
-- Declares the answer, one row a projection, by name. A projection is
--   REBUILDING   while it is counted again beside the tables that are read
--   ABSENT       when the caller has no projection of that name: its tables stay as they were, and nobody waits for them
--   FAILED       when its last step, or its last rebuild, failed; `last_error` says why
--   OUTDATED     when its tables were counted by other statements than the caller's, and wait for their rebuild
--   LIVE         when it holds the whole log
--   STUCK        when the log has waited for it, and it has not moved, for 15 seconds
--   CATCHING_UP  when it is behind, and moves
-- `lag_seconds` is how long the oldest event that it has still to take has been recorded; `parked` counts those
-- that it could not apply and those that wait for them; `progress` is how much of a rebuild is done, 0 to 1.
--   names, fingerprints  of the projections that the caller knows
create or replace function read_model.status(names text[], fingerprints text[])
returns table (
    name text, state text, built_in boolean, "position" bigint, head bigint, lag_events bigint, lag_seconds float8,
    rate_per_second float8, eta_seconds float8, parked int, progress float8, last_error text
)
language sql stable
as $status$
select s.projection, s.state, s.built_in, s.position, s.head, s.lag_events, s.lag_seconds, s.rate,
       case when s.to_do = 0 then 0 when s.rate > 0 then s.to_do / s.rate end,
       s.parked, s.progress, s.last_error
  from (
       select c.projection, c.built_in, c.position, log.head, lag.events as lag_events,
              case when known.projection is null then 0
                   else greatest(extract(epoch from clock_timestamp() - next.recorded_at), 0) end::float8 as lag_seconds,
              case when r.runs then r.rate else c.rate end as rate,
              case when r.runs then r.head - r.position else lag.events end as to_do,
              (select count(*)::int
                 from read_model.parked p
                where p.projection = case when c.built_in then '*' else c.projection end) as parked,
              case when r.runs and r.head > 0 then r.position::float8 / r.head end as progress,
              failed.error as last_error,
              case when r.runs then 'REBUILDING'
                   when known.projection is null then 'ABSENT'
                   when failed.error is not null then 'FAILED'
                   when known.fingerprint is distinct from c.fingerprint then 'OUTDATED'
                   when lag.events = 0 then 'LIVE'
                   when greatest(next.recorded_at, c.moved_at) < clock_timestamp() - interval '15 seconds' then 'STUCK'
                   else 'CATCHING_UP' end as state
         from read_model.checkpoints c
        cross join (
              select coalesce((select e.position from log.events e order by e.position desc limit 1), 0) as head
              ) as log
        cross join lateral (select greatest(log.head - c.position, 0) as events) as lag
         left join unnest(status.names, status.fingerprints) as known (projection, fingerprint)
           on known.projection = c.projection
         left join lateral (select e.recorded_at from log.events e where e.position = c.position + 1) as next on true
         left join lateral (
              select b.state, b.position, b.head, b.rate, b.error,
                     b.state = 'RUNNING' and b.error is null as runs
                from read_model.rebuilds b
               where c.projection = any (b.projections)
                 and (b.state <> 'REQUESTED' or b.error is not null)
               order by b.rebuild desc
               limit 1
              ) as r on true
         left join lateral (
              -- That a product was counted again since, in the tables of before, mends no whole rebuild.
              select b.state, b.position, b.error
                from read_model.rebuilds b
               where c.projection = any (b.projections)
                 and b.product_id is null
                 and (b.state <> 'REQUESTED' or b.error is not null)
               order by b.rebuild desc
               limit 1
              ) as whole on true
        cross join lateral (
              select coalesce(c.last_error, case
                         when r.state = 'FAILED'
                         then format('the rebuild stopped at position %s: %s', r.position, r.error)
                         when r.error is null and whole.state = 'FAILED'
                         then format('the rebuild stopped at position %s: %s', whole.position, whole.error)
                         else r.error end) as error
              ) as failed
       ) as s
 order by s.projection
$status$;

-- name: status
-- The answer.
--   $1 names  $2 fingerprints  of the projections that the caller knows
select name, state, built_in, position, head, lag_events, lag_seconds, rate_per_second, eta_seconds, parked, progress,
       last_error
  from read_model.status($1, $2);
