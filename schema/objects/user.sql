-- What users are read from as of a moment, and what one did.

-- name: then
select known.product_id, known.user_id :columns
  from :rows as known
:joins
 where known.first_position <= :p
   and exists (select 1 from {user_sightings} as seen
                where seen.product_id = known.product_id and seen.user_id = known.user_id and :known(seen))

-- name: content_of
(select o.:column from {user_versions} as o
  where o.product_id = known.product_id and o.user_id = known.user_id and :known(o) and o.:column is not null
  order by :key_desc(o) limit 1)

-- name: life
  left join lateral (
       select l.action = 'delete' as deleted, l.occurred_at
         from {user_versions} as l
        where l.product_id = known.product_id and l.user_id = known.user_id and :known(l) and l.action is not null
        order by :key_desc(l) limit 1
       ) as life on true

-- name: seen
  left join lateral (
       select min(s.occurred_at) as first_seen_at, max(s.occurred_at) filter (where s.actor) as last_active_at,
              max(s.position) as position
         from {user_sightings} as s
        where s.product_id = known.product_id and s.user_id = known.user_id and :known(s)
       ) as seen on true

-- name: satisfaction
select known.product_id, known.satisfaction_id, known.user_id, known.score, known.comment, known.grp, known.meta,
       known.answered_at, known.deleted, known.position
  from :satisfaction_answers() as known
 where known.product_id = usr.product_id and known.user_id = usr.user_id and not known.deleted

-- name: activity
select count(*) filter (where f.type in ('VOTE_CAST', 'VOTE_CHANGED'))::int as votes,
       count(*) filter (where f.type = 'COMMENT_CREATED')::int as comments,
       count(*) filter (where f.type = 'ITEM_CREATED')::int as new_items,
       (select avg(a.score)::float8 from :satisfaction_answers() as a
         where a.product_id = usr.product_id and a.user_id = usr.user_id and not a.deleted
           and a.answered_at >= :from and a.answered_at < :until) as csat_avg,
       (select count(a.score)::int from :satisfaction_answers() as a
         where a.product_id = usr.product_id and a.user_id = usr.user_id and not a.deleted
           and a.answered_at >= :from and a.answered_at < :until) as csat_n
  from {event_facts} as f
 where f.product_id = usr.product_id and f.user_id = usr.user_id and :known(f)
   and f.occurred_at >= :from and f.occurred_at < :until

-- name: active_in
exists (select 1 from {event_facts} as fact
         where fact.product_id = usr.product_id and fact.user_id = usr.user_id and :known(fact)
           and fact.occurred_at >= :from and fact.occurred_at < :until)
