-- The log as the service sees it: append, read, count, and the quarantine beside it.

-- name: append
-- Record a batch in one call; log.append_batch says how and why.
--   $1 deliveries
--   $2 untimed_window
select first, positions, duplicates
  from log.append_batch($1::log.delivery[], $2::interval);

-- name: restore
-- Record a batch of an export, at the positions and times that it says; log.restore says when it refuses.
--   $1 … $15  one array for each column of a recorded event
select log.restore($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::boolean[],
                   $8::timestamptz[], $9::text[], $10::bytea[], $11::text[], $12::bytea[], $13::timestamptz[],
                   $14::bigint[], $15::timestamptz[]);

-- name: read_after
-- The next events after a position, oldest first: one turn of catch-up.
--   $1 after       the position already handled; 0 to start from the beginning
--   $2 limit       the most to return
--   $3 product_id  null for every product
select position, product_id, action, entity, entity_id, occurred_at, occurred_assumed, recorded_at, origin,
       digest, envelope, data, raw, erased_at
  from log.events
 where position > $1
   and ($3::bigint is null or product_id = $3)
 order by position
 limit $2;

-- name: head
-- The newest position; 0 while the log is empty.
select coalesce((select position from log.events order by position desc limit 1), 0) as position;

-- name: deliveries
-- How often the deliveries recorded at these positions arrived, the first time included.
--   $1 positions
select e.position, 1 + coalesce(r.copies, 0) as deliveries, r.last_at
  from log.events e
  left join log.redeliveries r on r.position = e.position and r.product_id = e.product_id
 where e.position = any ($1::bigint[]);

-- name: quarantine
-- Keep a body that is no event; the same bytes again are counted.
--   $1 id  $2 product_id  $3 received_at  $4 reason  $5 body  $6 origin
insert into log.quarantine as q (id, product_id, received_at, last_received_at, reason, body, origin)
values ($1, $2, $3, $3, $4, $5, $6)
on conflict (id) do update
   set copies = q.copies + 1,
       last_received_at = excluded.received_at
 where q.last_received_at < excluded.received_at; -- drained from the spool once more, it has not come again

-- name: quarantine_list
-- Deliveries in the quarantine, the newest first; without their bytes.
--   $1 state       null for every state
--   $2 product_id  null for every product
--   $3 limit
--   $4 before      the id to go on behind; null to start with the newest
select q.id, q.product_id, q.received_at, q.last_received_at, q.copies, q.reason, octet_length(q.body) as size_bytes,
       q.origin, q.state, q.position, q.closed_at
  from log.quarantine q
 where ($1::text is null or q.state = $1)
   and ($2::bigint is null or q.product_id = $2)
   and ($4::uuid is null
        or (q.received_at, q.id) < (select b.received_at, b.id from log.quarantine b where b.id = $4))
 order by q.received_at desc, q.id desc
 limit $3;

-- name: quarantine_show
-- One delivery of the quarantine, with its bytes.
--   $1 id
select q.id, q.product_id, q.received_at, q.last_received_at, q.copies, q.reason, octet_length(q.body) as size_bytes,
       q.origin, q.state, q.position, q.closed_at, q.body
  from log.quarantine q
 where q.id = $1;

-- name: quarantine_close
-- Close a delivery that is open. No row comes back when it was closed before.
--   $1 id  $2 state  $3 position
update log.quarantine q
   set state = $2, position = $3, closed_at = clock_timestamp()
 where q.id = $1
   and q.state = 'open'
returning q.id;

-- name: quarantine_explain
-- Note why a retry failed.
--   $1 id  $2 reason
update log.quarantine q
   set reason = $2
 where q.id = $1
   and q.state = 'open';

-- name: quarantine_counts
-- How many deliveries are in each state.
--   $1 product_id  null for every product
select q.state, count(*) as deliveries
  from log.quarantine q
 where $1::bigint is null or q.product_id = $1
 group by q.state;
