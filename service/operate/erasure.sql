-- Forgetting people, as the service asks for it; log.erase_all and its kin (migrations 0003 and 0004) say how.

-- name: erase
-- Forget people of one product and return the lines that they leave, in their order.
--   $1 product_id  $2 user_ids  $3 texts  $4 reason  $5 ids
select id, product_id, reason, requested_at, texts, events, quarantined
  from log.erase_all($1, $2, $3, $4, $5);

-- name: mentions
-- What an erasure would change, event by event; changes nothing.
--   $1 product_id  $2 user_id  $3 texts  $4 limit
with head as (
    select coalesce((select position from log.events order by position desc limit 1), 0) as position
)
select e.position, e.action, e.occurred_at, e.erased_at
  from head h
 cross join lateral log.redactions($1, log.person($1, $2, $3), 0, h.position) r
  join log.events e on e.position = r.position and e.product_id = $1
 order by e.position
 limit $4;

-- name: mentions_quarantined
-- The deliveries of the quarantine that it would redact.
--   $1 product_id  $2 user_id  $3 texts
select q.id, q.received_at
  from log.quarantine q
 where (q.product_id = $1 or q.product_id is null)
   and log.names(q.body, log.person($1, $2, $3))
   and q.body <> convert_to('{"erased": true}', 'UTF8')
 order by q.received_at;

-- name: partitions
-- The partitions that an erasure wrote to: what they held is still in their files until they are vacuumed.
--   $1 product_id
select distinct e.tableoid::regclass::text as name
  from log.events e
 where e.product_id = $1
   and e.erased_at is not null;

-- name: known
-- Which of these erasures the log has gone through.
--   $1 ids
select id from log.erasures where id = any ($1::uuid[]);

-- name: replayed
-- Note that the read model was counted again without the person.
--   $1 ids
update log.erasures set replayed_at = clock_timestamp() where id = any ($1::uuid[]);

-- name: not_replayed
-- Erasures after which the read model was not counted again: something stopped in between.
select id, product_id
  from log.erasures
 where replayed_at is null
 order by requested_at;

-- name: suppressions
-- Everybody who was erased.
select s.product_id, s.user_id, s.erasure, s.texts, s.since
  from log.suppressions s
 order by s.since, s.product_id, s.user_id;

-- name: lift
-- Let a person be known again, from the next delivery on.
--   $1 product_id  $2 user_id
with writings as (
    delete from log.suppressed_writings where product_id = $1 and user_id = $2
)
delete from log.suppressions where product_id = $1 and user_id = $2
returning user_id;

-- name: users_table
-- The table of users that is read at present.
select format('read_model.%I', 'users_' || c.generation) as name
  from read_model.checkpoints c
 where 'users' = any (c.tables);

-- name: due
-- Users whom Sleekplan deleted long enough ago. {users} is the table that `users_table` names.
--   $1 delay  $2 limit
select u.product_id, u.user_id
  from {users} u
 where u.deleted
   and u.deleted_at <= clock_timestamp() - $1::interval
   and not exists (select 1
                     from log.suppressions s
                    where s.product_id = u.product_id
                      and s.user_id = u.user_id)
 order by u.product_id, u.deleted_at
 limit $2;

-- name: find_user
-- Who is meant by an id of Sleekplan's, an id of the customer's own, or an address.
--   $1 text  $2 product_id  null for every product
select u.product_id, u.user_id
  from {users} u
 where ($2::bigint is null or u.product_id = $2)
   and (u.user_id = $1 or u.data_id = $1 or lower(u.mail) = lower($1))
 order by u.product_id, u.user_id
 limit 20;
