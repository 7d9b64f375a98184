-- The quarantine: deliveries that could not be read as events.

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
