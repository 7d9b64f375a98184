-- Which tables are read, and how far they have got: looked up by every read in its own snapshot.

-- name: value_read_at
-- The one value of a statement, and in the same snapshot the generations that it was to be read from, the
-- position, and when its event was recorded: one round trip where a transaction takes four.
--   statement   a select of one row with the column `answer`
select stated.answer, read_at.generations as read_generations, read_at.position as read_position,
       (select e.recorded_at from log.events e where e.position = read_at.position) as recorded_at
  from (:statement) as stated
 cross join (
        select string_agg(projection || '=' || generation, ',' order by projection) as generations,
               coalesce(min(position) filter (where built_in), 0) as position
          from read_model.checkpoints
       ) as read_at;

-- name: products
-- Every product of the log, by one index probe each.
with recursive found as (
    (select f.product_id from {event_facts} f order by f.product_id limit 1)
    union all
    select (select f.product_id from {event_facts} f where f.product_id > found.product_id order by f.product_id limit 1)
      from found
     where found.product_id is not null
)
select found.product_id from found where found.product_id is not null

-- name: known_since
-- From when on events were told as they happened, but for what lies far before the rest, as the page's bar of time has it:
-- hardly an event, then silence for a quarter of all the time until now. Of `told` events these are the `earliest` moments.
select coalesce(max(early.next_at) filter (where early.next_at - early.at > (:now - early.first_at) / 4
                                             and early.place <= greatest(1, :told / 50) and early.place * 4 < :told),
                min(early.at))
  from (
       select moments.at, lead(moments.at) over by_time as next_at, row_number() over by_time as place,
              min(moments.at) over () as first_at
         from (:earliest) as moments (at)
       window by_time as (order by moments.at)
       ) as early

-- name: recorded_at
-- When the event at a position was recorded, which tells it from another one that may come to stand there.
--   $1 position
select recorded_at
  from log.events
 where position = $1;

-- name: rows_read_at
-- The rows of a statement, and with each the generations and the position as above; one row that is not
-- `found` where the statement has none. In no order.
--   statement   a select
select stated.*, read_at.generations as read_generations, read_at.position as read_position
  from (
        select string_agg(projection || '=' || generation, ',' order by projection) as generations,
               coalesce(min(position) filter (where built_in), 0) as position
          from read_model.checkpoints
       ) as read_at
  left join (select true as found, rows.* from (:statement) as rows) as stated on true
