-- name: read
-- The demo's board in this log; no row where it holds none.
select seed, ending, events, finished_at is not null as finished
  from log.demo;

-- name: beginning
-- What the log's first events say.
select data::text as said
  from log.events
 order by position
 limit 20;

-- name: begin
-- Mark an empty log as the demo's.
--   $1 seed   $2 ending   $3 events
insert into log.demo (seed, ending, events) values ($1, $2, $3);

-- name: finish
-- Say that the whole history is recorded.
update log.demo set finished_at = clock_timestamp() where finished_at is null;

-- name: recorded
-- How many events of the demo's board the log holds.
--   $1 product_id
select count(*) from log.events where product_id = $1;

-- name: ticked
-- When the events after the history happened, in their order.
--   $1 product_id   $2 events of the history
select occurred_at
  from log.events
 where product_id = $1
 order by position
offset $2;
