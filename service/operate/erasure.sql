-- Forgetting people, as the service asks for it; redaction.sql has what finds and changes the places.

-- name: one_after_another
-- Hold off other erasures until the end of the transaction: two would each write what they read before the other.
lock table log.suppressions in share row exclusive mode;

-- name: begin
-- Write the lines that let the log be redacted in this transaction.
--   $1 product_id  $2 user_ids  $3 texts  $4 reason  $5 ids
insert into log.erasures (id, product_id, user_digest, reason, texts)
select u.id, $1, sha256(convert_to($1::bigint || ':' || u.user_id, 'UTF8')), $4, $3
  from unnest($2::text[], $5::uuid[]) u (user_id, id);

-- name: suppress
-- Have these people redacted on arrival from now on.
--   $1 product_id  $2 people  $3 ids
select log.suppress_people($1, $2::log.person[], $3);

-- name: head
-- The newest position.
select coalesce(max(e.position), 0) from log.events e;

-- name: hold_quarantine
-- Let nothing come into the quarantine, or change in it, until the end of the transaction.
lock table log.quarantine in share row exclusive mode;

-- name: hold_appends
-- Let nothing be appended until the end of the transaction.
select from log.head for update;

-- name: end
-- Note how much was redacted, and return the lines in their order.
--   $1 ids  $2 events  $3 quarantined
with counted as (
    update log.erasures x
       set events = u.events, quarantined = u.quarantined
      from unnest($1::uuid[], $2::bigint[], $3::bigint[]) u (id, events, quarantined)
     where x.id = u.id
    returning x.id, x.product_id, x.reason, x.requested_at, x.texts, x.events, x.quarantined
)
select c.id, c.product_id, c.reason, c.requested_at, c.texts, c.events, c.quarantined
  from counted c
 order by array_position($1::uuid[], c.id);

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
