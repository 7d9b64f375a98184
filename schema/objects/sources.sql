-- What each type of object is read from as of a moment, with the columns that its current table has.
--
-- Blocks, not statements: the planner puts them into one statement and replaces
--   :p, :t             the position and the time, both inclusive; :at the moment that windows count back from
--   :known(a)          what of a table of versions is known at the moment
--   :newest(a)         the same where only the newest row matters: by position alone, the rows that were newest
--                      on arrival are enough and have an index of their own
--   :newest_first(a), :key_desc(a), :key_asc(a)   the order of what is said about one entity
--   :columns, :joins   only what the statement needs

-- name: position_at
-- The last event that we had recorded at a time.
coalesce((select heard.position from {event_facts} as heard
           where heard.recorded_at <= :time order by heard.recorded_at desc, heard.position desc limit 1), 0)

-- name: time_at
-- How far Sleekplan's clock had come at a position: the latest of the last hundred events, so that one
-- late delivery does not turn it back.
(select max(latest.occurred_at)
   from (select told.occurred_at from {event_facts} as told
          where told.position <= :position order by told.position desc limit 100) as latest)

-- name: products
-- Every product of the log, by one index probe each.
with recursive found as (
    (select fact.product_id from {event_facts} as fact order by fact.product_id limit 1)
    union all
    select (select fact.product_id from {event_facts} as fact
             where fact.product_id > found.product_id order by fact.product_id limit 1)
      from found where found.product_id is not null
)
select found.product_id from found where found.product_id is not null

-- name: item_then
-- The items that had been heard of.
select known.product_id, known.item_id:columns
  from {items} as known
:joins
 where :heard_of(known)

-- name: heard_of
known.first_position <= :p
   and exists (select 1 from {item_sightings} as seen
                where seen.product_id = known.product_id and seen.item_id = known.item_id and :known(seen))

-- name: item_then.counts
  left join lateral (
       select c.complete, c.updated_at, c.votes_up, c.votes_down, c.total_sum, c.comments, c.subscribers,
              c.trend, c.scoring, c.ratio
         from {item_counts} as c
        where c.product_id = known.product_id and c.item_id = known.item_id and :newest(c)
        order by :newest_first(c)
        limit 1
       ) as counts on true

-- name: item_then.count_of
-- What the newest post did not say holds from the newest one that did.
coalesce(counts.:column, case when not counts.complete then (
    select o.:column from {item_counts} as o
     where o.product_id = known.product_id and o.item_id = known.item_id and :known(o) and o.:column is not null
     order by :key_desc(o) limit 1) end)

-- name: item_then.search
-- Of texts that are the same still, what is kept of them; others are parsed anew, as nothing is kept of the past.
case when (:title) is not distinct from known.title and (:description) is not distinct from known.description then known.search
     else setweight(to_tsvector('simple', coalesce(:title, '')), 'A')
         || setweight(to_tsvector('simple', left(coalesce(:description, ''), 100000)), 'B') end

-- name: item_then.updated_at
coalesce(nullif(counts.updated_at, '-infinity'), case when not counts.complete then (
    select o.updated_at from {item_counts} as o
     where o.product_id = known.product_id and o.item_id = known.item_id and :known(o) and o.updated_at > '-infinity'
     order by :key_desc(o) limit 1) end)

-- name: item_then.content
  left join lateral (
       select c.complete, c.title, c.description, c.status, c.type, c.effort, c.created_at, c.author_id
         from {item_contents} as c
        where c.product_id = known.product_id and c.item_id = known.item_id and :newest(c)
        order by :newest_first(c)
        limit 1
       ) as content on true

-- name: item_then.content_of
coalesce(content.:column, case when not content.complete then (
    select o.:column from {item_contents} as o
     where o.product_id = known.product_id and o.item_id = known.item_id and :known(o) and o.:column is not null
     order by :key_desc(o) limit 1) end)

-- name: item_then.life
-- A deletion that nothing has undone since. They are few, so all are found at once for a list.
  left join (
       select gone.product_id, gone.item_id, gone.occurred_at
         from (select distinct on (d.product_id, d.item_id)
                      d.product_id, d.item_id, d.occurred_at, d.is_delete, d.updated_at, d.position
                 from {item_deletions} as d
                where :known(d)
                order by d.product_id, d.item_id, :key_desc(d)) as gone
        where not exists (
              select 1 from {item_lifecycles} as l
               where l.product_id = gone.product_id and l.item_id = gone.item_id and :known(l)
                 and (l.occurred_at, l.is_delete, l.updated_at, l.position)
                     > (gone.occurred_at, gone.is_delete, gone.updated_at, gone.position))
       ) as life on life.product_id = known.product_id and life.item_id = known.item_id

-- name: item_then.life_of
-- The same of one row, where few are looked at: of all deletions it would take as long as the log has told.
  left join lateral (
       select gone.occurred_at
         from (select d.occurred_at, d.is_delete, d.updated_at, d.position
                 from {item_deletions} as d
                where d.product_id = known.product_id and d.item_id = known.item_id and :known(d)
                order by :key_desc(d)
                limit 1) as gone
        where not exists (
              select 1 from {item_lifecycles} as l
               where l.product_id = known.product_id and l.item_id = known.item_id and :known(l)
                 and (l.occurred_at, l.is_delete, l.updated_at, l.position)
                     > (gone.occurred_at, gone.is_delete, gone.updated_at, gone.position))
       ) as life on true

-- name: item_then.since
-- The first row that says the status of then, after the last that says another.
  left join lateral (
       select entered.occurred_at
         from (select status_of.status from {item_contents} as status_of
                where status_of.product_id = known.product_id and status_of.item_id = known.item_id
                  and :known(status_of) and status_of.status is not null
                order by :key_desc(status_of) limit 1) as present
        cross join lateral (
              select e.occurred_at from {item_contents} as e
               where e.product_id = known.product_id and e.item_id = known.item_id and :known(e)
                 and e.status = present.status
                 and not exists (
                     select 1 from {item_contents} as other
                      where other.product_id = known.product_id and other.item_id = known.item_id and :known(other)
                        and other.status <> present.status
                        and (other.occurred_at, other.is_delete, other.updated_at, other.position)
                            > (e.occurred_at, e.is_delete, e.updated_at, e.position))
               order by :key_asc(e) limit 1) as entered
       ) as since on true

-- name: item_then.first_seen_at
(select min(seen.occurred_at) from {item_sightings} as seen
  where seen.product_id = known.product_id and seen.item_id = known.item_id and :known(seen))

-- name: item_then.facts
  left join lateral (
       select max(f.occurred_at) as last_activity_at, max(f.position) as position, count(*)::int as events
         from {event_facts} as f
        where f.product_id = known.product_id and f.item_id = known.item_id and :known(f)
       ) as facts on true

-- name: item_then.known_votes
  left join lateral (
       select count(*) filter (where v.value = -1)::int as down, count(*) filter (where v.value is distinct from -1)::int as up
         from (select distinct on (o.voter) o.value, o.withdrawn
                 from {vote_versions} as o
                where o.product_id = known.product_id and o.item_id = known.item_id and :known(o)
                order by o.voter, :key_desc(o)) as v
        where not v.withdrawn
       ) as known_votes on true

-- name: search.matches
(item.product_id, item.item_id) in (
    select found.product_id, found.item_id from {items} as found where found.search @@ :query
    union all
    select found.product_id, found.item_id from {comments} as found where found.search @@ :query and not found.deleted)

-- name: search.rank
ts_rank(item.search, :query)::float8 + coalesce((
    select max(ts_rank(found.search, :query)) / 4 from {comments} as found
     where found.product_id = item.product_id and found.item_id = item.item_id
       and found.search @@ :query and not found.deleted), 0)

-- name: search.matches_then
item.search @@ :query
or (item.product_id, item.item_id) in (
    select found.product_id, found.item_id from :comments(item_id__search__deleted) as found
     where found.search @@ :query and not found.deleted)

-- name: search.rank_then
-- Of a past moment by title and description alone.
ts_rank(item.search, :query)::float8

-- name: user_then
select known.product_id, known.user_id:columns
  from {users} as known
:joins
 where known.first_position <= :p
   and exists (select 1 from {user_sightings} as seen
                where seen.product_id = known.product_id and seen.user_id = known.user_id and :known(seen))

-- name: user_then.content_of
(select o.:column from {user_versions} as o
  where o.product_id = known.product_id and o.user_id = known.user_id and :known(o) and o.:column is not null
  order by :key_desc(o) limit 1)

-- name: user_then.life
  left join lateral (
       select l.action = 'delete' as deleted, l.occurred_at
         from {user_versions} as l
        where l.product_id = known.product_id and l.user_id = known.user_id and :known(l) and l.action is not null
        order by :key_desc(l) limit 1
       ) as life on true

-- name: user_then.seen
  left join lateral (
       select min(s.occurred_at) as first_seen_at, max(s.occurred_at) filter (where s.actor) as last_active_at,
              max(s.position) as position
         from {user_sightings} as s
        where s.product_id = known.product_id and s.user_id = known.user_id and :known(s)
       ) as seen on true

-- name: comment_then
select known.product_id, known.comment_id:columns
  from {comments} as known
:joins

-- name: comment_then.content
 cross join lateral (
       select o.complete, o.item_id, o.author_id, o.body, o.status, o.type, o.likes, o.created_at, o.updated_at, o.position
         from {comment_versions} as o
        where o.product_id = known.product_id and o.comment_id = known.comment_id and :newest(o)
        order by :newest_first(o) limit 1
       ) as content

-- name: comment_then.content_of
coalesce(content.:column, case when not content.complete then (
    select o.:column from {comment_versions} as o
     where o.product_id = known.product_id and o.comment_id = known.comment_id and :known(o) and o.:column is not null
     order by :key_desc(o) limit 1) end)

-- name: comment_then.position
(select max(o.position) from {comment_versions} as o
  where o.product_id = known.product_id and o.comment_id = known.comment_id and :known(o))

-- name: comment_then.search
case when (:body) is not distinct from known.body then known.search
     else to_tsvector('simple', left(coalesce(:body, ''), 100000)) end

-- name: comment_then.updated_at
coalesce(nullif(content.updated_at, '-infinity'), case when not content.complete then (
    select o.updated_at from {comment_versions} as o
     where o.product_id = known.product_id and o.comment_id = known.comment_id and :known(o) and o.updated_at > '-infinity'
     order by :key_desc(o) limit 1) end)

-- name: comment_then.life
  left join lateral (
       select l.action = 'delete' as deleted, l.occurred_at
         from {comment_versions} as l
        where l.product_id = known.product_id and l.comment_id = known.comment_id and :known(l) and l.action is not null
        order by :key_desc(l) limit 1
       ) as life on true

-- name: vote_then
select known.product_id, known.item_id, known.voter, v.user_id, v.value, v.withdrawn, v.cast_at, v.occurred_at, v.position
  from {votes} as known
 cross join lateral (
       select o.user_id, o.value, o.withdrawn, o.cast_at, o.occurred_at, o.position
         from {vote_versions} as o
        where o.product_id = known.product_id and o.item_id = known.item_id and o.voter = known.voter and :known(o)
        order by :key_desc(o) limit 1
       ) as v

-- name: subscription_then
select known.product_id, known.item_id, known.subscriber, v.user_id, v.active, v.since, v.occurred_at, v.position
  from {subscriptions} as known
 cross join lateral (
       select o.user_id, o.active, o.since, o.occurred_at, o.position
         from {subscription_versions} as o
        where o.product_id = known.product_id and o.item_id = known.item_id and o.subscriber = known.subscriber
          and :known(o)
        order by :key_desc(o) limit 1
       ) as v

-- name: entry_then
select told.product_id, told.changelog_id, told.title, told.description, told.type, told.segment, told.draft,
       told.announcement, told.scheduled_at, told.item_id, told.created_at, told.deleted, told.deleted_at, told.position,
       case when not coalesce(told.draft, false)
            then coalesce(told.scheduled_at, told.first_told_at, told.created_at) end as published_at
  from (
       select known.product_id, known.changelog_id,
              (select o.title from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.title is not null
                order by :key_desc(o) limit 1) as title,
              (select o.description from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.description is not null
                order by :key_desc(o) limit 1) as description,
              (select o.type from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.type is not null
                order by :key_desc(o) limit 1) as type,
              (select o.segment from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.segment is not null
                order by :key_desc(o) limit 1) as segment,
              (select o.draft from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.draft is not null
                order by :key_desc(o) limit 1) as draft,
              (select o.announcement from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.announcement is not null
                order by :key_desc(o) limit 1) as announcement,
              (select o.scheduled_at from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.scheduled_at is not null
                order by :key_desc(o) limit 1) as scheduled_at,
              (select o.item_id from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.item_id is not null
                order by :key_desc(o) limit 1) as item_id,
              (select o.created_at from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.created_at is not null
                order by :key_desc(o) limit 1) as created_at,
              (select min(o.occurred_at) from {changelog_versions} as o where o.product_id = known.product_id
                  and o.changelog_id = known.changelog_id and :known(o) and o.action = 'create') as first_told_at,
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

-- name: answer_then
select told.product_id, told.satisfaction_id, told.user_id, told.score, told.comment, coalesce(told.grp, 'default') as grp,
       told.meta, coalesce(told.answered_at, told.occurred_at) as answered_at, told.deleted, told.position
  from (
       select known.product_id, known.satisfaction_id,
              (select o.user_id from {satisfaction_versions} as o where o.product_id = known.product_id
                  and o.satisfaction_id = known.satisfaction_id and :known(o) and o.user_id is not null
                order by :key_desc(o) limit 1) as user_id,
              (select o.score from {satisfaction_versions} as o where o.product_id = known.product_id
                  and o.satisfaction_id = known.satisfaction_id and :known(o) and o.score is not null
                order by :key_desc(o) limit 1) as score,
              (select o.comment from {satisfaction_versions} as o where o.product_id = known.product_id
                  and o.satisfaction_id = known.satisfaction_id and :known(o) and o.comment is not null
                order by :key_desc(o) limit 1) as comment,
              (select o.grp from {satisfaction_versions} as o where o.product_id = known.product_id
                  and o.satisfaction_id = known.satisfaction_id and :known(o) and o.grp is not null
                order by :key_desc(o) limit 1) as grp,
              (select o.meta from {satisfaction_versions} as o where o.product_id = known.product_id
                  and o.satisfaction_id = known.satisfaction_id and :known(o) and o.meta is not null
                order by :key_desc(o) limit 1) as meta,
              (select o.answered_at from {satisfaction_versions} as o where o.product_id = known.product_id
                  and o.satisfaction_id = known.satisfaction_id and :known(o) and o.answered_at is not null
                order by :key_desc(o) limit 1) as answered_at,
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

-- name: event_then
select fact.position, fact.product_id, fact.action, fact.type, fact.entity, fact.entity_id, fact.item_id, fact.user_id,
       fact.comment_id, fact.changelog_id, fact.satisfaction_id, fact.origin, fact.occurred_at, fact.occurred_assumed,
       fact.recorded_at, fact.changed_fields, fact.erased
  from {event_facts} as fact
 where :known(fact)
