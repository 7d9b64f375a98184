-- What changelog entries are read from as of a moment, and what came of one.

-- name: then
select told.product_id, told.changelog_id, told.title, told.description, told.type, told.segment, told.draft,
       told.announcement, told.scheduled_at, told.item_id, told.created_at, told.deleted, told.deleted_at, told.position,
       case when not coalesce(told.draft, false)
            then coalesce(greatest(told.scheduled_at, told.finished_at), told.first_told_at, told.created_at) end as published_at
  from (
       select known.product_id, known.changelog_id,
              :newest_said(title) as title,
              :newest_said(description) as description,
              :newest_said(type) as type,
              :newest_said(segment) as segment,
              :newest_said(draft) as draft,
              :newest_said(announcement) as announcement,
              :newest_said(scheduled_at) as scheduled_at,
              :newest_said(item_id) as item_id,
              :newest_said(created_at) as created_at,
              (select min(o.occurred_at) from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.action = 'create') as first_told_at,
              (select done.occurred_at from {changelog_versions} as done
                where done.product_id = known.product_id and done.changelog_id = known.changelog_id and :known(done)
                  and not done.draft
                  and (:key(done)) > (
                      select :key(o) from {changelog_versions} as o where o.product_id = known.product_id
                         and o.changelog_id = known.changelog_id and :known(o) and o.draft
                       order by :key_desc(o) limit 1)
                order by :key(done) limit 1) as finished_at,
              coalesce(life.deleted, false) as deleted,
              case when life.deleted then life.occurred_at end as deleted_at,
              newest.position
         from {changelog_entries} as known
        cross join lateral (
              select max(o.position) as position from {changelog_versions} as o
               where o.product_id = known.product_id and o.changelog_id = known.changelog_id and :known(o)
              ) as newest
         left join lateral (
              select l.action = 'delete' as deleted, l.occurred_at
                from {changelog_versions} as l
               where l.product_id = known.product_id and l.changelog_id = known.changelog_id and :known(l)
                 and l.action is not null
               order by :key_desc(l) limit 1
              ) as life on true
        where newest.position is not null
       ) as told

-- name: newest_said
(select o.:column from {changelog_versions} as o
  where o.product_id = known.product_id and o.changelog_id = known.changelog_id and :known(o) and o.:column is not null
  order by :key_desc(o) limit 1)

-- name: impact
-- Two half-open stretches of the same length that meet at the publication.
select entry.product_id, entry.published_at - :length as starts_at, entry.published_at, entry.published_at + :length as ends_at
 where entry.published_at is not null

-- name: impact_half
select count(*) filter (where f.type in ('VOTE_CAST', 'VOTE_CHANGED'))::int as votes,
       count(*) filter (where f.type = 'COMMENT_CREATED')::int as comments,
       count(*) filter (where f.type = 'ITEM_CREATED')::int as new_items,
       (select avg(a.score)::float8 from :satisfaction_answers() as a
         where a.product_id = impact.product_id and not a.deleted
           and a.answered_at >= :begin and a.answered_at < :end) as csat_avg,
       (select count(a.score)::int from :satisfaction_answers() as a
         where a.product_id = impact.product_id and not a.deleted
           and a.answered_at >= :begin and a.answered_at < :end) as csat_n
  from {event_facts} as f
 where f.product_id = impact.product_id and :known(f) and f.occurred_at >= :begin and f.occurred_at < :end
