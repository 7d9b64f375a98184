-- The log as the service sees it: append, read, count.

-- name: append
-- Record a batch in one call; log.append_batch says how and why.
--   $1 deliveries
--   $2 untimed_window
select first, positions, duplicates
  from log.append_batch($1::log.delivery[], $2::interval);

-- name: hold
-- Keep deliveries of products that have left, until they are recorded where those are; log.hold says when it refuses.
--   $1 product_ids  $2 received_ats  $3 origins  $4 bodies
select log.hold($1::bigint[], $2::timestamptz[], $3::text[], $4::bytea[]) as held;

-- name: restore
-- Record a batch of an export, at the positions and times that it says; log.restore says when it refuses.
--   $1 … $15  one array for each column of a recorded event
select log.restore($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[],
                   $8::timestamptz[], $9::text[], $10::bytea[], $11::text[], $12::bytea[], $13::timestamptz[],
                   $14::bigint[], $15::timestamptz[]);

-- name: read_after
-- The next events after a position, oldest first: one turn of catch-up.
--   $1 after  the position already handled; 0 to start from the beginning
--   $2 limit  the most to return
select position, product_id, action, entity, entity_id, occurred_at, occurred_assumed, recorded_at, origin,
       digest, envelope, data, raw, erased_at
  from log.events
 where position > $1
 order by position
 limit $2;

-- name: head
-- The newest position; 0 while the log is empty.
select coalesce((select position from log.events order by position desc limit 1), 0) as position;
