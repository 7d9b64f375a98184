-- What satisfaction answers are read from as of a moment.

-- name: then
select told.product_id, told.satisfaction_id, told.user_id, told.score, told.comment, coalesce(told.grp, 'default') as grp,
       told.meta, coalesce(told.answered_at, told.given_at, told.occurred_at) as answered_at, told.deleted, told.position
  from (
       select known.product_id, known.satisfaction_id,
              :newest_said(user_id) as user_id,
              :newest_said(score) as score,
              :newest_said(comment) as comment,
              :newest_said(grp) as grp,
              :newest_said(meta) as meta,
              :newest_said(answered_at) as answered_at,
              (select o.occurred_at from {satisfaction_versions} as o where o.product_id = known.product_id
                  and o.satisfaction_id = known.satisfaction_id and :known(o) and not o.is_delete
                order by :key_desc(o) limit 1) as given_at,
              (select o.is_delete from {satisfaction_versions} as o where o.product_id = known.product_id
                  and o.satisfaction_id = known.satisfaction_id and :known(o)
                order by :key_desc(o) limit 1) as deleted,
              newest.occurred_at, newest.position
         from {satisfaction_answers} as known
        cross join lateral (
              select max(o.position) as position, max(o.occurred_at) as occurred_at from {satisfaction_versions} as o
               where o.product_id = known.product_id and o.satisfaction_id = known.satisfaction_id and :known(o)
              ) as newest
        where newest.position is not null
       ) as told

-- name: newest_said
(select o.:column from {satisfaction_versions} as o
  where o.product_id = known.product_id and o.satisfaction_id = known.satisfaction_id and :known(o) and o.:column is not null
  order by :key_desc(o) limit 1)

-- name: superseded_at
-- The first newer answer of the same user and survey within 30 days.
(select min(newer.answered_at) from :satisfaction_answers() as newer
  where newer.product_id = answer.product_id and newer.user_id = answer.user_id and newer.grp = answer.grp
    and not newer.deleted and newer.satisfaction_id <> answer.satisfaction_id
    and (newer.answered_at, newer.position) > (answer.answered_at, answer.position)
    and newer.answered_at < answer.answered_at + interval '30 days')
