-- How the log and its projections do.

-- name: ingest
-- What has arrived, and whether so much is missing that chance does not explain it: nothing for three days, and
-- at least ten events that the month before would have brought in that time.
select arrived.last_at, arrived.last_hour, (:known_since) as known_since, filled.backfilled_at, filled.reconciled_at,
       again.copies, kept.quarantined,
       coalesce(arrived.age > interval '3 days'
           and extract(epoch from arrived.age) / 86400.0 * arrived.before / 30.0 >= 10, false) as quiet
  from (
       select max(f.recorded_at) as last_at,
              count(*) filter (where f.recorded_at > :at - interval '1 hour')::int as last_hour,
              count(*) filter (where f.origin in ('WEBHOOK', 'IMPORT')) as told,
              :at - max(f.recorded_at) filter (where f.origin = 'WEBHOOK') as age,
              (select count(*) from {event_facts} as b
                where :visible(b) and b.origin = 'WEBHOOK' and b.recorded_at > (
                      select max(l.recorded_at) - interval '30 days' from {event_facts} as l
                       where :visible(l) and l.origin = 'WEBHOOK')) as before
         from {event_facts} as f
        where :visible(f)
       ) as arrived
 cross join (
       select max(s.finished_at) filter (where s.kind = 'BACKFILL' and s.asked -> 'kinds' @> '["posts", "comments", "votes"]')
                  as backfilled_at,
              max(s.finished_at) filter (where s.kind = 'RECONCILE') as reconciled_at
         from log.sweeps as s
        where :visible(s) and s.state = 'COMPLETE'
       ) as filled
 cross join (select coalesce(sum(r.copies), 0)::bigint as copies from log.redeliveries as r where :visible(r)) as again
 cross join (select count(*)::int as quarantined from log.quarantine as q where :visible(q) and q.state = 'open') as kept

-- name: earliest
select first.occurred_at
  from (:every_product) as heard
 cross join lateral (select f.occurred_at from {event_facts} as f
                      where f.product_id = heard.product_id and f.origin in ('WEBHOOK', 'IMPORT')
                      order by f.occurred_at limit 51) as first
 where :visible(heard)
 order by first.occurred_at limit 51

-- name: products
-- The products of the log, by one index probe each, and when the newest event of each arrived.
select heard.product_id, newest.recorded_at as last_at
  from (:every_product) as heard
 cross join lateral (select f.recorded_at from {event_facts} as f
                      where f.product_id = heard.product_id order by f.position desc limit 1) as newest
 where :visible(heard)

-- name: projections
-- What `projections/status.sql` answers.
select p.name, p.state, p.position, p.head, p.lag_events, p.lag_seconds, p.rate_per_second, p.eta_seconds, p.parked,
       p.progress, p.last_error
  from read_model.status(:names, :fingerprints) as p

-- name: quarantine
select q.id, q.product_id, q.received_at, q.last_received_at, q.copies, q.reason, q.body, q.origin, q.state, q.position,
       q.closed_at
  from log.quarantine as q
 where :visible(q) and (:states is null or q.state = any(:states))

-- name: sweeps
-- How much of one is done is known once all posts were listed: they say how much there is of all else.
select s.id, s.product_id, s.kind, :state_now as state, s.started_at, s.moved_at, s.finished_at, s.requests, s.recorded,
       s.problem, s.kind = 'BACKFILL' or coalesce((s.asked ->> 'full')::boolean, false) as whole,
       case when s.state = 'COMPLETE' then 1
            when not ahead.unknown then s.requests / greatest(s.requests + ahead.requests, 1)::float8 end as progress
  from log.sweeps as s
 cross join lateral (
       select coalesce(sum(greatest(ceil(o.promised / :per_page), 1)), 0) as requests,
              coalesce(bool_or(o.scope = 'posts'), s.requests = 0) as unknown
         from log.sweep_scopes as o
        where o.sweep_id = s.id and o.state = 'OPEN'
       ) as ahead
 where :visible(s) and (:states is null or :state_now = any(:states))

-- name: sweep_lists
select o.scope, o.state, count(*)::int as lists, sum(o.rows)::bigint as rows, min(o.problem) as problem,
       min(o.phase) as phase
  from log.sweep_scopes as o
 where o.sweep_id = sweep.id
 group by o.scope, o.state

-- name: reactions
select r.name, case when r.in_file then r.state else 'ABSENT' end as state, r.position,
       greatest(coalesce((select e.position from log.events as e order by e.position desc limit 1), 0) - r.position, 0) as behind,
       r.sent, r.sent_at, (select count(*) from log.reactions_skipped as s where s.reaction = r.name) as skipped,
       r.attempts, r.failing_since, r.problem
  from log.reactions as r
