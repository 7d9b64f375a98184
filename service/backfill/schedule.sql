-- When the next comparison of a board is due.

-- name: due
-- One that was stopped on its way is gone on with at once. A full one is due where none was complete for so long.
--   $1 product_id  $2 every  $3 a full one every; null: never
select coalesce(l.state = 'RUNNING' or l.started_at <= clock_timestamp() - $2::interval, true) as is_due,
       case when l.state = 'RUNNING' then l.full
            when $3::interval is null then false
            else not exists (select
                               from log.sweeps f
                              where f.product_id = $1
                                and f.kind = 'RECONCILE'
                                and f.state = 'COMPLETE'
                                and (f.asked ->> 'full')::boolean
                                and f.started_at > clock_timestamp() - $3::interval) end as "full"
  from (select 1) one
  left join (
       select s.state, s.started_at, coalesce((s.asked ->> 'full')::boolean, false) as "full"
         from log.sweeps s
        where s.product_id = $1
          and s.kind = 'RECONCILE'
        order by s.started_at desc
        limit 1
       ) l on true;
