-- The log as lines, for `recount export`.

-- name: events
-- The next events after a position with how often each came again: one page of an export.
--   $1 after  $2 last  $3 limit  $4 product_id  null for every product
select e.position, e.product_id, e.action, e.entity, e.entity_id, e.occurred_at, e.occurred_assumed, e.recorded_at,
       e.origin, e.digest, (e.envelope || jsonb_build_object('data', e.data))::text as body, e.raw, e.erased_at,
       coalesce(r.copies, 0) as copies, r.last_at as copies_last_at
  from log.events e
  left join log.redeliveries r on r.position = e.position and r.product_id = e.product_id
 where e.position > $1
   and e.position <= $2
   and ($4::bigint is null or e.product_id = $4)
 order by e.position
 limit $3;

-- name: suppressions
-- Who was erased, for the beginning of an export: ids only.
--   $1 product_id  null for every product
select s.product_id, s.user_id, s.erasure::text, s.texts, s.since,
       coalesce((select jsonb_agg(jsonb_build_array(w.kind, w.id) order by w.kind, w.id)
                   from log.suppressed_writings w
                  where w.product_id = s.product_id
                    and w.user_id = s.user_id), '[]')::text as writings
  from log.suppressions s
 where $1::bigint is null or s.product_id = $1
 order by s.product_id, s.user_id;

-- name: suppress
-- Take over from an export that somebody was erased.
--   $1 product_id  $2 user_id  $3 erasure  $4 texts  $5 since  $6 kinds  $7 ids
with erasure as (
    insert into log.erasures (id, product_id, user_digest, reason, texts, replayed_at)
    values ($3, $1, sha256(convert_to($1::bigint || ':' || $2::text, 'UTF8')), 'erased in the log of an export', $4, $5)
    on conflict (id) do nothing
),
writings as (
    insert into log.suppressed_writings (product_id, kind, id, user_id)
    select $1, w.kind, w.id, $2
      from unnest($6::text[], $7::text[]) as w (kind, id)
    on conflict do nothing
)
insert into log.suppressions (product_id, user_id, erasure, texts, since)
values ($1, $2, $3, $4, $5)
on conflict (product_id, user_id) do nothing;

-- name: digests
-- Which deliveries stand at these positions.
--   $1 first  $2 last
select position, digest
  from log.events
 where position between $1 and $2;
