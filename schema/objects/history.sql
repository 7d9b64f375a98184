-- What an item went through, in blocks below the row `item`.

-- name: status_steps
-- Each row of what was said that says another status than the one before it, by the order of what is said.
select step.product_id, step.item_id, step.before_key, step.key, step.occurred_at as entered_at, step.position,
       row_number() over (partition by step.product_id, step.item_id order by :key(step)) as place,
       lead(step.occurred_at) over (partition by step.product_id, step.item_id order by :key(step)) as left_at
  from (
       select c.product_id, c.item_id, c.status as key, c.occurred_at, c.is_delete, c.updated_at, c.position,
              lag(c.status) over (partition by c.product_id, c.item_id order by :key(c)) as before_key
         from {item_contents} as c
        where :which and :known(c) and c.status is not null
       ) as step
 where step.before_key is distinct from step.key

-- name: status_history
select steps.product_id, steps.item_id, steps.before_key, steps.key, steps.entered_at, steps.left_at, steps.position,
       steps.place, extract(epoch from coalesce(steps.left_at, :at) - steps.entered_at) as lasted
  from (:status_steps) as steps

-- name: revisions
-- What was said, each field filled from the last row that said it, beside the row before.
select changed.product_id, changed.item_id, changed.occurred_at, changed.position, changed.place, changed.names,
       changed.before, changed.after,
       votes.up as up_then, votes.down as down_then, item_votes.up as up_now, item_votes.down as down_now
  from (
       select told.product_id, told.item_id, told.occurred_at, told.is_delete, told.updated_at, told.position, told.place,
              json_build_object('title', told.title_before, 'description', told.description_before,
                  'status', told.status_before, 'type', told.type_before, 'effort', told.effort_before,
                  'tags', told.tags_before, 'owner', told.owner_before, 'estimated', told.estimated_before,
                  'mergedInto', told.merged_before) as before,
              json_build_object('title', told.title, 'description', told.description,
                  'status', told.status, 'type', told.type, 'effort', told.effort, 'tags', told.tags,
                  'owner', told.owner_id, 'estimated', told.estimated, 'mergedInto', told.merged_into) as after,
              array_remove(array[
                  case when told.title is distinct from told.title_before then 'title' end,
                  case when told.description is distinct from told.description_before then 'description' end,
                  case when told.status is distinct from told.status_before then 'status' end,
                  case when told.type is distinct from told.type_before then 'type' end,
                  case when told.effort is distinct from told.effort_before then 'effort' end,
                  case when told.tags is distinct from told.tags_before then 'tags' end,
                  case when told.owner_id is distinct from told.owner_before then 'owner' end,
                  case when told.estimated is distinct from told.estimated_before then 'estimated' end,
                  case when told.merged_into is distinct from told.merged_before then 'mergedInto' end], null) as names
         from (
              select filled.product_id, filled.item_id, filled.occurred_at, filled.is_delete, filled.updated_at,
                     filled.position, filled.place,
                     filled.title, filled.description, filled.status, filled.type, filled.effort, filled.tags,
                     filled.owner_id, filled.estimated, filled.merged_into,
                     lag(filled.title) over place_order as title_before,
                     lag(filled.description) over place_order as description_before,
                     lag(filled.status) over place_order as status_before,
                     lag(filled.type) over place_order as type_before,
                     lag(filled.effort) over place_order as effort_before,
                     lag(filled.tags) over place_order as tags_before,
                     lag(filled.owner_id) over place_order as owner_before,
                     lag(filled.estimated) over place_order as estimated_before,
                     lag(filled.merged_into) over place_order as merged_before
                from (
                     select s.product_id, s.item_id, s.occurred_at, s.is_delete, s.updated_at, s.position, s.place,
                            max(s.title) over (partition by s.titles) as title,
                            max(s.description) over (partition by s.descriptions) as description,
                            max(s.status) over (partition by s.statuses) as status,
                            max(s.type) over (partition by s.types) as type,
                            max(s.effort) over (partition by s.efforts) as effort,
                            max(s.tags) over (partition by s.taggings) as tags,
                            -- Nobody, no date and no merge are told as empty texts.
                            nullif(max(s.owner_id) over (partition by s.ownings), '') as owner_id,
                            nullif(max(s.estimated) over (partition by s.estimates), '') as estimated,
                            nullif(max(s.merged_into) over (partition by s.merges), '') as merged_into
                       from (
                            select c.product_id, c.item_id, c.occurred_at, c.is_delete, c.updated_at, c.position,
                                   c.title, c.description, c.status, c.type, c.effort, c.tags,
                                   c.owner_id, c.estimated, c.merged_into,
                                   row_number() over said as place,
                                   count(c.title) over said as titles,
                                   count(c.description) over said as descriptions,
                                   count(c.status) over said as statuses,
                                   count(c.type) over said as types,
                                   count(c.effort) over said as efforts,
                                   count(c.tags) over said as taggings,
                                   count(c.owner_id) over said as ownings,
                                   count(c.estimated) over said as estimates,
                                   count(c.merged_into) over said as merges
                              from {item_contents} as c
                             where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
                            window said as (order by :key(c))
                            ) as s
                     ) as filled
              window place_order as (order by filled.place)
              ) as told
        where told.place > 1
       ) as changed
 cross join lateral (select :votes_as_of(changed)) as votes
 cross join lateral (select :votes_latest(changed)) as item_votes
 where changed.names <> '{}'
   and (:fields is null or changed.names && :fields)

-- name: net
-- The net votes of an item with a post: a total that it did not say holds from the newest before it that did.
coalesce(:row.votes_up, :votes_up) - coalesce(:row.votes_down, :votes_down, 0)

-- name: total_before
(select said.:column from {item_counts} as said
  where said.product_id = :row.product_id and said.item_id = :row.item_id and :known(said) and said.:column is not null
    and (:key(said)) < (:key(:row))
  order by :key_desc(said) limit 1)

-- name: votes_as_of
-- Sleekplan's totals as the newest post up to a row had them.
(select c.votes_up from {item_counts} as c
  where c.product_id = :row.product_id and c.item_id = :row.item_id and :known(c) and c.votes_up is not null
    and (:key(c)) <= (:key(:row))
  order by :key_desc(c) limit 1) as up,
(select c.votes_down from {item_counts} as c
  where c.product_id = :row.product_id and c.item_id = :row.item_id and :known(c) and c.votes_down is not null
    and (:key(c)) <= (:key(:row))
  order by :key_desc(c) limit 1) as down

-- name: votes_latest
(select c.votes_up from {item_counts} as c
  where c.product_id = :row.product_id and c.item_id = :row.item_id and :known(c) and c.votes_up is not null
  order by :key_desc(c) limit 1) as up,
(select c.votes_down from {item_counts} as c
  where c.product_id = :row.product_id and c.item_id = :row.item_id and :known(c) and c.votes_down is not null
  order by :key_desc(c) limit 1) as down

-- name: votes_since
-- The totals of the moment less those at a time; where nothing had been told by then, less the first told.
select latest.up - coalesce(before.up, first.up) as up, latest.down - coalesce(before.down, first.down) as down
  from (select coalesce(:time, (
              select steps.entered_at from (:status_steps) as steps
               where steps.key = :status_entered order by steps.place desc limit 1)) as time
       ) as since
 cross join lateral (select :votes_latest(item)) as latest
 cross join lateral (
       select (select c.votes_up from {item_counts} as c
                where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
                  and c.votes_up is not null and c.occurred_at < since.time order by :key_desc(c) limit 1) as up,
              (select c.votes_down from {item_counts} as c
                where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
                  and c.votes_down is not null and c.occurred_at < since.time order by :key_desc(c) limit 1) as down
       ) as before
 cross join lateral (
       select case when item.created_at >= since.time then 0 else (select c.votes_up from {item_counts} as c
                where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
                  and c.votes_up is not null order by :key(c) limit 1) end as up,
              case when item.created_at >= since.time then 0 else (select c.votes_down from {item_counts} as c
                where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
                  and c.votes_down is not null order by :key(c) limit 1) end as down
       ) as first
 where since.time is not null

-- name: vote_series
select bucket.starts_at, cast_then.up, cast_then.down, cast_then.withdrawn + coalesce(inferred.withdrawn, 0) as withdrawn,
       (select :net(c) from {item_counts} as c
         where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
           and :net(c) is not null and c.occurred_at < least(bucket.ends_at, :until)
         order by :key_desc(c) limit 1) as cumulative
  from (:buckets) as bucket
 cross join lateral (
       select count(*) filter (where not v.withdrawn and v.value is distinct from -1)::int as up,
              count(*) filter (where not v.withdrawn and v.value = -1)::int as down,
              count(*) filter (where v.withdrawn)::int as withdrawn
         from (select o.withdrawn, case when not o.withdrawn then :direction end as value
                 from {vote_versions} as o
                where o.product_id = item.product_id and o.item_id = item.item_id and :known(o)
                  and o.occurred_at >= greatest(bucket.starts_at, :from)
                  and o.occurred_at < least(bucket.ends_at, :until)
                  -- Counted once, however often it was told; and a vote that got its name, or went along with a merge,
                  -- was not withdrawn.
                  and o.type not in ('TOLD_AGAIN', 'SNAPSHOT')) as v
       ) as cast_then
 cross join lateral (
       select -sum(n.delta)::int as withdrawn
         from {inferences} as n
        where n.product_id = item.product_id and n.item_id = item.item_id and :known(n)
          and n.kind = 'VOTE_WITHDRAWN' and n.delta < 0
          and not exists (select from {event_facts} as told where told.position = n.explained_by and :known(told))
          and n.occurred_at >= greatest(bucket.starts_at, :from) and n.occurred_at < least(bucket.ends_at, :until)
       ) as inferred

-- name: subscriber_series
select bucket.starts_at, told.added, told.removed,
       (select count(*) from (
               select distinct on (v.subscriber) v.active from {subscription_versions} as v
                where v.product_id = item.product_id and v.item_id = item.item_id and :known(v)
                  and v.occurred_at < least(bucket.ends_at, :until)
                order by v.subscriber, :key_desc(v)) as last_told
         where last_told.active)::int as cumulative
  from (:buckets) as bucket
 cross join lateral (
       select count(*) filter (where v.active)::int as added, count(*) filter (where not v.active)::int as removed
         from {subscription_versions} as v
        where v.product_id = item.product_id and v.item_id = item.item_id and :known(v)
          and v.occurred_at >= greatest(bucket.starts_at, :from) and v.occurred_at < least(bucket.ends_at, :until)
          -- Counted once, however often it was told.
          and not exists (select from {event_facts} as again where again.position = v.position and again.type = 'TOLD_AGAIN')
       ) as told

-- name: vote_jumps
-- Totals that moved by more between two posts than a vote event explains. A post that was fetched leaves nothing to be
-- concluded from it, and a merge may be told after the jump: so one that was told about then is looked for first.
select post.product_id, post.item_id, post.position, post.place, post.occurred_at, post.net - post.net_before as delta,
       coalesce(
           case when post.net > post.net_before
                 and (exists (select from {inferences} as n where n.position = post.position and n.delta > 0)
                      or exists (select from {event_facts} as fact
                                  where fact.position = post.position and fact.origin in ('BACKFILL', 'RECONCILE'))) then (
               select 'merge of item ' || other.item_id
                 from (select m.item_id, min(m.occurred_at) as merged_at
                         from {item_contents} as m
                        where m.product_id = post.product_id and m.merged_into = post.item_id and m.merged_into <> ''
                          and m.item_id <> post.item_id and :known(m)
                        group by m.item_id) as other
                where other.merged_at between least(post.before_at, post.occurred_at - interval '1 hour')
                                          and post.occurred_at + interval '1 hour'
                order by other.merged_at desc, other.item_id limit 1) end,
           (select n.likely_cause from {inferences} as n
             where n.product_id = post.product_id and n.item_id = post.item_id and n.position = post.position
             order by n.ordinal limit 1),
           'votes') as likely_cause
  from (
       select c.product_id, c.item_id, c.position, c.occurred_at,
              :net(c) as net,
              lag(:net(c)) over told as net_before, lag(c.occurred_at) over told as before_at,
              row_number() over told as place
         from {item_counts} as c
        where c.product_id = item.product_id and c.item_id = item.item_id and :known(c) and :net(c) is not null
       window told as (order by :key(c))
       ) as post
 where abs(post.net - post.net_before) >= :min_delta

-- name: nearby_events
-- What else happened on the board in the hour around it, nearest first.
select fact.position, fact.product_id, fact.action, fact.type, fact.entity, fact.entity_id, fact.item_id, fact.user_id,
       fact.comment_id, fact.changelog_id, fact.satisfaction_id, fact.origin, fact.occurred_at, fact.occurred_assumed,
       fact.recorded_at, fact.changed_fields, fact.erased
  from {event_facts} as fact
 where fact.product_id = jump.product_id and :known(fact) and fact.position <> jump.position
   and fact.occurred_at between jump.occurred_at - interval '30 minutes' and jump.occurred_at + interval '30 minutes'
   and (fact.type in ('ITEM_CREATED', 'ITEM_EDITED', 'ITEM_STATUS_CHANGED', 'MERGED', 'ITEM_DELETED')
        -- A note that is a draft is none yet.
        or (fact.type = 'CHANGELOG_CREATED' or fact.type = 'CHANGELOG_EDITED' and 'draft' = any(fact.changed_fields))
           and (select own.draft from {changelog_versions} as own
                 where own.product_id = fact.product_id and own.changelog_id = fact.changelog_id
                   and own.occurred_at = fact.occurred_at and own.position = fact.position) is not true)

-- name: item_inferences
select n.position, n.ordinal, n.product_id, n.item_id, n.kind, n.field, n.delta, n.ours, n.theirs, n.occurred_at,
       n.likely_cause,
       (select told.position from {event_facts} as told where told.position = n.explained_by and :known(told)) as explained_by
  from {inferences} as n
 where n.product_id = item.product_id and n.item_id = item.item_id and :known(n)

-- name: provenance
-- The first row that said the value of the moment, after the last one that said another.
select told.position, case when :field not in ('owner', 'estimated', 'mergedInto') or told.value <> '""' then told.value end as value,
       :field as field
  from (
       select said.position, said.occurred_at, said.is_delete, said.updated_at, said.value,
              row_number() over (order by :key(said)) as place,
              max(case when said.value is distinct from said.latest then said.place end) over () as last_other,
              said.place as at_place
         from (
              select r.position, r.occurred_at, r.is_delete, r.updated_at, r.value,
                     row_number() over (order by :key(r)) as place,
                     first_value(r.value) over (order by :key_desc(r)) as latest
                from (
                     select c.position, c.occurred_at, c.is_delete, c.updated_at,
                            case :field when 'title' then to_jsonb(c.title) when 'description' then to_jsonb(c.description)
                                when 'status' then to_jsonb(c.status) when 'type' then to_jsonb(c.type)
                                when 'effort' then to_jsonb(c.effort) when 'author' then to_jsonb(c.author_id)
                                when 'tags' then to_jsonb(c.tags) when 'owner' then to_jsonb(c.owner_id)
                                when 'estimated' then to_jsonb(c.estimated) when 'mergedInto' then to_jsonb(c.merged_into)
                                when 'createdAt' then to_jsonb(to_char(c.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) end as value
                       from {item_contents} as c
                      where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
                        and :field in ('title', 'description', 'status', 'type', 'effort', 'tags', 'owner', 'estimated',
                                       'mergedInto', 'createdAt', 'author')
                     union all
                     select c.position, c.occurred_at, c.is_delete, c.updated_at,
                            case :field when 'votes' then to_jsonb(:net(c))
                                when 'commentCount' then to_jsonb(c.comments)
                                when 'subscriberCount' then to_jsonb(c.subscribers)
                                when 'trend' then to_jsonb(c.trend) when 'scoring' then to_jsonb(c.scoring) end
                       from {item_counts} as c
                      where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
                        and :field in ('votes', 'commentCount', 'subscriberCount', 'trend', 'scoring')
                     ) as r
               where r.value is not null
              ) as said
       ) as told
 where told.at_place > coalesce(told.last_other, 0)
 order by told.at_place
 limit 1

-- name: by
-- Who did the event, where it is of the item itself: a vote or a comment brings its item's post along, and whoever voted
-- changed nothing in it.
(usr.product_id, usr.user_id) in (select fact.product_id, fact.user_id from {event_facts} as fact
                                   where fact.position = revision.position and fact.entity = 'item')
