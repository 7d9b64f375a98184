-- Looking for people and redacting what was found (migrations 0003, 0004, 0008 and 0009 have what is one with the log).

-- name: people
-- What events tell of people, in their order.
--   $1 product_id  $2 user_ids  $3 texts  $4 $5 whom each event may tell of, from 0 on, and its position
select p.user_id, p.texts, p.items, p.comments, p.answers, p.traces
  from unnest($2::text[]) with ordinality u (id, place)
  left join (select t.who, array_agg(t.position) as positions
               from unnest($4::int[], $5::bigint[]) t (who, position)
              group by t.who) f
         on f.who = u.place - 1
 cross join lateral log.person_within($1, u.id, $3, coalesce(f.positions, '{}'))
                    p (user_id, texts, items, comments, answers, traces)
 order by u.place;

-- name: members
-- The members of JSON that tell who somebody is, and those that hold somebody.
select log.telling_who() as telling_who, log.holding_people() as holding_people;

-- name: texts
-- What the events of a product say, one after the other.
--   $1 product_id  $2 first  the position before the first one  $3 last
select e.position, e.envelope::text || e.data::text as said, e.raw
  from log.events e
 where e.product_id = $1
   and e.position > $2
   and e.position <= $3
 order by e.position;

-- name: events
-- Events, each with what is left of it after each of those of whom it may say something by id.
--   $1 product_id  $2 positions  $3 people  $4 $5 whom of them each event may tell of, from 1 on, and its position
select e.position, e.action, e.entity, e.occurred_at as at, e.raw, s.said::text as said,
       log.left_after(s.said, e.entity in ('user', 'changelog_subscriber'),
                      array(select ($3::log.person[])[t.who]
                              from unnest($4::int[], $5::bigint[]) t (who, position)
                             where t.position = e.position
                             order by t.who))::text[] as steps
  from log.events e
 cross join lateral (select e.envelope || jsonb_build_object('data', e.data) as said) s
 where e.product_id = $1
   and e.position = any ($2::bigint[])
 order by e.position;

-- name: quarantine
-- All deliveries of the quarantine, with their bytes.
select q.id, q.product_id, q.received_at as at, q.body from log.quarantine q;

-- name: left_after
-- What is left of a body after each of these people.
--   $1 body  $2 is_user  $3 people
select log.left_after($1::text::jsonb, $2, $3::log.person[])::text[];

-- name: redact_events
-- Put what is left into events. The log takes it where an erasure of the product was written in the transaction.
--   $1 positions  $2 what is left  $3 changes of texts in that
with redacted as materialized (
    select r.position, log.changed(r.body::jsonb, r.changes::jsonb) as body
      from unnest($1::bigint[], $2::text[], $3::text[]) r (position, body, changes)
)
update log.events e
   set envelope = r.body - 'data', data = r.body -> 'data', raw = null, erased_at = transaction_timestamp()
  from redacted r
 where e.position = r.position;

-- name: redact_quarantine
-- Put what is left into deliveries of the quarantine; one of which nothing is left is closed.
--   $1 ids  $2 what is left, null for nothing  $3 changes of texts in that
update log.quarantine q
   set body = convert_to(coalesce(log.changed(r.body::jsonb, r.changes::jsonb)::text, '{"erased": true}'), 'UTF8'),
       state = case when r.body is null and q.state = 'open' then 'discarded' else q.state end,
       closed_at = case when r.body is null then coalesce(q.closed_at, transaction_timestamp()) else q.closed_at end
  from unnest($1::uuid[], $2::text[], $3::text[]) r (id, body, changes)
 where q.id = r.id;
