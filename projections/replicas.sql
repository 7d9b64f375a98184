-- How a replica stands to the primary.

-- name: there
-- Asked of a replica: where its log ends and when the event there was recorded, up to where it has the projections, and
-- when the primary made what it replayed last.
select coalesce(newest.position, 0) as head,
       newest.recorded_at,
       (select coalesce(min(c.position) filter (where c.built_in), 0) from read_model.checkpoints c) as projected,
       pg_last_xact_replay_timestamp() as replayed_at
  from (select) as one
  left join lateral (select e.position, e.recorded_at from log.events e order by e.position desc limit 1) as newest on true;

-- name: here
-- Asked of the primary: where the log ends, when the event at the replica's end was recorded here, and for how long the
-- replica lacks what is projected here; all by the primary's clock.
--   $1 head         the replica's
--   $2 projected    there
--   $3 replayed_at  when what the replica replayed last was made; null where it replays nothing
select coalesce((select e.position from log.events e order by e.position desc limit 1), 0) as head,
       (select e.recorded_at from log.events e where e.position = $1::bigint) as recorded_at,
       case when p.position <= $2::bigint then 0
            else coalesce(greatest(extract(epoch from clock_timestamp() - greatest($3::timestamptz, missing.recorded_at)), 0), 0)
       end::float8 as lag_seconds
  from (select coalesce(min(c.position) filter (where c.built_in), 0) as position from read_model.checkpoints c) as p
  left join log.events as missing on missing.position = $2::bigint + 1;
