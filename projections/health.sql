-- How far the projections are behind the log, from the database itself.

-- name: status
-- One row a projection. Lag in seconds is how long the oldest event not yet projected has been recorded.
with head as (
    select coalesce((select position from log.events order by position desc limit 1), 0) as position
), running as (
    select projections, position, head, rate, error
      from read_model.rebuilds
     where state in ('RUNNING', 'REQUESTED')
), parked as (
    select projection, count(*) as events, min(error) as error
      from read_model.parked
     group by projection
)
select c.projection as name,
       case when r.projections is not null then 'REBUILDING'
            when c.last_error is not null then 'FAILED'
            when c.position >= h.position then 'LIVE'
            when n.recorded_at < clock_timestamp() - make_interval(secs => $1)
                 and c.moved_at < clock_timestamp() - make_interval(secs => $1) then 'STUCK'
            else 'CATCHING_UP' end as state,
       c.built_in,
       c.generation,
       c.fingerprint,
       case when r.projections is not null and r.position > 0 then r.position else c.position end as progress,
       c.position,
       h.position as head,
       h.position - c.position as lag_events,
       coalesce(extract(epoch from clock_timestamp() - n.recorded_at), 0)::float8 as lag_seconds,
       case when r.projections is not null then r.rate else c.rate end as rate_per_second,
       case when r.rate > 0 then (r.head - r.position) / r.rate
            when r.projections is null and c.position >= h.position then 0
            when r.projections is null and c.rate > 0 then (h.position - c.position) / c.rate end as eta_seconds,
       coalesce(r.error, c.last_error, p.error) as last_error,
       coalesce(p.events, 0) as parked,
       c.moved_at
  from read_model.checkpoints c
 cross join head h
  left join lateral (
       select e.recorded_at
         from log.events e
        where e.position > c.position
        order by e.position
        limit 1
       ) n on true
  left join lateral (
       select r.projections, r.position, r.head, r.rate, r.error
         from running r
        where c.projection = any (r.projections)
        limit 1
       ) r on true
  left join parked p on p.projection = c.projection or p.projection = '*' and c.built_in
 order by c.built_in desc, c.projection;
