-- How far the log was at a moment, and which products it is about.

-- name: position_at
-- The last event that we had recorded at a time.
coalesce((select heard.position from {event_facts} as heard
           where heard.recorded_at <= :time order by heard.recorded_at desc, heard.position desc limit 1), 0)

-- name: time_at
-- How far Sleekplan's clock had come at a position: the latest of the last hundred events, so that one
-- late delivery does not turn it back.
(select max(latest.occurred_at)
   from (select told.occurred_at from {event_facts} as told
          where told.position <= :position order by told.position desc limit 100) as latest)

-- name: products
-- Every product of the log, by one index probe each.
with recursive found as (
    (select fact.product_id from {event_facts} as fact order by fact.product_id limit 1)
    union all
    select (select fact.product_id from {event_facts} as fact
             where fact.product_id > found.product_id order by fact.product_id limit 1)
      from found where found.product_id is not null
)
select found.product_id from found where found.product_id is not null
