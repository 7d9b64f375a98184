-- Questions about a whole board: what rises, what moved, how long things take.

-- name: metric_of
-- What a metric of an item was with a post; none where it had not been told, and of ACTIVITY.
case :metric when 'NET_VOTES' then :net when 'UPVOTES' then :row.votes_up
     when 'COMMENTS' then :row.comments when 'SUBSCRIBERS' then :row.subscribers end

-- name: value_at
-- A metric of an item as the newest post before a time had it; none where it had not been heard of.
case when :metric = 'ACTIVITY' then (
    select nullif(count(*), 0) from {event_facts} as f
     where f.product_id = item.product_id and f.item_id = item.item_id and :known(f) and f.occurred_at < :when)
else (
    select :metric_of(c)
      from {item_counts} as c
     where c.product_id = item.product_id and c.item_id = item.item_id and :known(c) and c.occurred_at < :when
       and :metric_of(c) is not null
     order by :key_desc(c) limit 1) end

-- name: newest_value
-- The same with the time of that post; of ACTIVITY the time of the newest event.
select post.value, post.occurred_at
  from (select :metric_of(c) as value, c.occurred_at
          from {item_counts} as c
         where c.product_id = item.product_id and c.item_id = item.item_id and :known(c) and c.occurred_at < span.ends_at
           and :metric <> 'ACTIVITY' and :metric_of(c) is not null
         order by :key_desc(c) limit 1) as post
union all
select count(*), max(f.occurred_at)
  from {event_facts} as f
 where :metric = 'ACTIVITY' and f.product_id = item.product_id and f.item_id = item.item_id and :known(f)
   and f.occurred_at < span.ends_at
having count(*) > 0

-- name: first_value
-- What was told of it first.
case when :metric = 'ACTIVITY' then 0 else (
    select :metric_of(c)
      from {item_counts} as c
     where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
       and :metric_of(c) is not null
     order by :key(c) limit 1) end

-- name: gone_at
-- Whether an item stood deleted just before a time. Few were ever deleted: only those are looked up.
case when once.item_id is null then false else coalesce((
    select l.action = 'delete' from {item_lifecycles} as l
     where l.product_id = item.product_id and l.item_id = item.item_id and :known(l) and l.occurred_at < :when
     order by :key_desc(l) limit 1), false) end

-- name: movers
-- Ranks are those of the boards at the window's end and at its beginning, each with what stood on it.
select moved.product_id, moved.item_id, moved.gained, moved.gained_previous, moved.rank_now, moved.rank_before
  from (
       select counted.product_id, counted.item_id, counted.there_now,
              counted.value_now - counted.value_begin as gained,
              counted.value_begin - counted.value_earlier as gained_previous,
              rank() over (partition by counted.product_id, counted.there_now order by counted.value_now desc) as rank_now,
              case when counted.there_before then rank() over (
                  partition by counted.product_id, counted.there_before order by counted.value_begin desc) end as rank_before
         from (
              select item.product_id, item.item_id, told.value_now, not :gone_at(span.ends_at) as there_now,
                     told.value_begin is not null and not :gone_at(span.begins_at) as there_before,
                     coalesce(told.value_begin,
                         case when item.created_at >= span.begins_at then 0 else :first_value end) as value_begin,
                     coalesce(told.value_earlier,
                         case when item.created_at >= span.earlier then 0 else :first_value end) as value_earlier
                from (select :from as begins_at, least(:until, :at + interval '1 microsecond') as ends_at,
                             :from - (least(:until, :at) - :from) as earlier) as span
               cross join :items(created_at) as item
                left join (select distinct d.product_id, d.item_id from {item_lifecycles} as d
                   where d.is_delete and :known(d) and :visible(d)) as once
                  on once.product_id = item.product_id and once.item_id = item.item_id
               cross join lateral (:newest_value) as newest
               cross join lateral (
                     -- Most items have not moved since, and need no second look. `offset 0`: once a row.
                     select newest.value as value_now,
                            case when newest.occurred_at < span.begins_at then newest.value
                                 else :value_at(span.begins_at) end as value_begin,
                            case when newest.occurred_at < span.earlier then newest.value
                                 else :value_at(span.earlier) end as value_earlier
                     offset 0
                     ) as told
               where :visible(item) and told.value_now is not null
              ) as counted
       ) as moved
 where moved.there_now and moved.gained <> 0

-- name: calendar
-- The steps, numbered from 1, every item, and from which step to which it stood on the board: what was never deleted
-- stood there all along.
steps as materialized (
     select bucket.starts_at, least(bucket.ends_at, :until) as ends_at from (:buckets) as bucket
), calendar as materialized (
     select array_agg(steps.starts_at order by steps.starts_at) as begins,
            array_agg(steps.ends_at order by steps.starts_at) as ends, count(*)::int as steps
       from steps
), board as materialized (
     select item.product_id, item.item_id, row_number() over () as number, once.item_id is not null as was_deleted
       from :items() as item
       left join (select distinct d.product_id, d.item_id from {item_lifecycles} as d
                   where d.is_delete and :known(d) and :visible(d)) as once
         on once.product_id = item.product_id and once.item_id = item.item_id
      where :visible(item)
), present as materialized (
     select board.number, 1 as step, calendar.steps + 1 as step_after
       from board
      cross join calendar
      where not board.was_deleted
     union all
     select turned.number, turned.step, turned.step_after
       from (
            select said.number, said.step, said.deleted,
                   lead(said.step, 1, (select calendar.steps from calendar) + 1) over said_of as step_after
              from (
                   select told.number, told.step, told.deleted, told.occurred_at, told.is_delete, told.updated_at, told.position,
                          lag(told.deleted) over (partition by told.number order by :key(told)) as deleted_before
                     from (
                          select board.number, 1 as step, false as deleted, '-infinity'::timestamptz as occurred_at,
                                 false as is_delete, '-infinity'::timestamptz as updated_at, 0::bigint as position
                            from board
                           where board.was_deleted
                          union all
                          select board.number, :step_of(l), l.action = 'delete', l.occurred_at, l.is_delete, l.updated_at, l.position
                            from board
                            join {item_lifecycles} as l on l.product_id = board.product_id and l.item_id = board.item_id
                           where board.was_deleted and :known(l)
                          ) as told
                   ) as said
             where said.deleted is distinct from said.deleted_before
            window said_of as (partition by said.number order by :key(said))
            ) as turned
      where not turned.deleted and turned.step < turned.step_after
)

-- name: step_of
-- The first step at whose end something had happened.
width_bucket(:row.occurred_at, (select calendar.ends from calendar)) + 1 as step

-- name: values_told
-- What told the metric of an item.
select board.number, :step_of(c), c.occurred_at, c.is_delete, c.updated_at, c.position,
       :metric_of(c)::bigint as value
  from {item_counts} as c
  join board on board.product_id = c.product_id and board.item_id = c.item_id
 where :visible(c) and :known(c) and :metric <> 'ACTIVITY'
   and :metric_of(c) is not null
union all
select board.number, :step_of(f), f.occurred_at, false, f.occurred_at, f.position,
       row_number() over (partition by board.number order by f.occurred_at, f.position)
  from {event_facts} as f
  join board on board.product_id = f.product_id and board.item_id = f.item_id
 where :visible(f) and :known(f) and :metric = 'ACTIVITY'

-- name: rank_history
-- The ranks of the items that lead at the end, at the end of each step.
--
-- A value holds from the step of the post that told it to that of the next, while the item stands on the board. So an
-- item passes a value at a single step, and a rank is one more than how many had passed the leader's value by then: a
-- running sum for each value.
with :calendar, told as materialized (
     select held.number, held.value, greatest(held.step, present.step) as step,
            least(held.step_after, present.step_after) as step_after, present.step_after <= held.step_after as gone,
            lag(held.value) over (partition by held.number, present.step order by :key(held)) as before
       from (
            select said.number, said.occurred_at, said.is_delete, said.updated_at, said.position, said.step, said.value,
                   lead(said.step, 1, (select calendar.steps from calendar) + 1) over (partition by said.number
                       order by :key(said)) as step_after
              from (:values_told) as said
             where said.step <= (select calendar.steps from calendar)
            ) as held
       join present on present.number = held.number
                   and present.step < held.step_after and present.step_after > held.step
      where held.step < held.step_after
), leaders as materialized (
     select ranked.product_id, ranked.item_id, ranked.number, ranked.rank_now
       from (
            select board.product_id, board.item_id, board.number,
                   rank() over (partition by board.product_id order by told.value desc) as rank_now
              from told
              join board on board.number = told.number
             where told.step_after = (select calendar.steps + 1 from calendar)
            ) as ranked
      where ranked.rank_now <= :top
), lines as materialized (
     select leaders.product_id, leaders.number, told.step, told.step_after, told.value
       from leaders
       join told on told.number = leaders.number
), marks as materialized (
     -- Who is above the lowest three of these has passed marks 1 to 3, and is above an item with one of them.
     select array_agg(mark.value order by mark.value) as values, array_agg(mark.step_after order by mark.value) as steps_after
       from (select lines.value, max(lines.step_after) as step_after from lines group by lines.value) as mark
), passed as (
     select moved.product_id, moved.step, mark.number as mark, sign(moved.after - moved.before)::int as items
       from (
            select board.product_id, told.step,
                   coalesce(width_bucket(told.before - 1, (select marks.values from marks)), 0) as before,
                   width_bucket(told.value - 1, (select marks.values from marks)) as after
              from told
              join board on board.number = told.number
            union all
            select board.product_id, told.step_after, width_bucket(told.value - 1, (select marks.values from marks)), 0
              from told
              join board on board.number = told.number
             where told.gone
            ) as moved
      cross join generate_series(
            least(moved.before, moved.after) + 1, greatest(moved.before, moved.after)) as mark(number)
      where moved.before <> moved.after
        -- Later on no leader has that value any more.
        and moved.step < (select marks.steps_after from marks)[mark.number]
)
select leaders.product_id, leaders.item_id, leaders.rank_now,
       json_agg(json_build_array(((select calendar.begins from calendar)[point.step] at time zone 'UTC'), point.rank, point.value)
           order by point.step) as points
  from (
       select counted.number, counted.step, counted.value,
              1 + sum(counted.items) over (partition by counted.product_id, counted.mark order by counted.step) as rank
         from (
              select passed.product_id, null::bigint as number, passed.step, passed.mark, passed.items,
                     null::bigint as value
                from passed
              union all
              select lines.product_id, lines.number, step.number,
                     width_bucket(lines.value, (select marks.values from marks)), 0, lines.value
                from lines
               cross join generate_series(lines.step, lines.step_after - 1) as step(number)
              ) as counted
       ) as point
  join leaders on leaders.number = point.number
 group by leaders.product_id, leaders.item_id, leaders.rank_now

-- name: durations
-- Groups of how long something took, of those who began in the window; who has not finished yet is counted apart.
select grouped.key, count(grouped.seconds)::int as n,
       percentile_cont(0.5) within group (order by grouped.seconds) as p50,
       percentile_cont(0.9) within group (order by grouped.seconds) as p90,
       (count(*) - count(grouped.seconds))::int as still_open
  from (
       select case :group_by when 'MONTH' then to_char(span.began_at at time zone :zone, 'YYYY-MM')
                  when 'WEEK' then to_char(span.began_at at time zone :zone, 'IYYY-"W"IW')
                  when 'TYPE' then coalesce(item.type, '') when 'STATUS' then coalesce(item.status, '')
                  else 'ALL' end as key,
              extract(epoch from span.ended_at - span.began_at) as seconds
         from (:spans) as span
         join :items(type, status, deleted) as item
           on item.product_id = span.product_id and item.item_id = span.item_id
        where span.began_at >= :from and span.began_at < :until
          and (span.ended_at is not null or not item.deleted)
       ) as grouped
 group by grouped.key

-- name: cycle_spans
-- From the first time in a status of one role to the first time after it in one of the other. What was first
-- seen open was so since it was submitted, as far as that is known; since when it was in another status, nobody told.
select began.product_id, began.item_id, began.began_at, min(reached.entered_at) as ended_at
  from (
       select distinct on (step.product_id, step.item_id) step.product_id, step.item_id, step.place,
              case when :from_open and step.before_key is null
                   then least(step.entered_at, (select about.created_at from :items(created_at) as about
                       where about.product_id = step.product_id and about.item_id = step.item_id))
                   else step.entered_at end as began_at
         from steps as step
        where step.key = any(:from_keys)
        order by step.product_id, step.item_id, step.place
       ) as began
  left join steps as reached
    on reached.product_id = began.product_id and reached.item_id = began.item_id
   and reached.key = any(:to_keys) and reached.place > began.place
 group by began.product_id, began.item_id, began.began_at

-- name: response_spans
-- From an item's submission to the first comment of the team or move to another status. Whether it was of the team, and
-- about the item, is what held when it was first told: people join and leave, and comments go along with a merge. What was
-- first seen in a later stage had been moved there, nobody told when: it waits for nothing.
select began.product_id, began.item_id, began.began_at, min(reply.replied_at) as ended_at
  from (select item.product_id, item.item_id, item.created_at as began_at
          from :items(created_at) as item
         where :visible(item) and item.created_at is not null) as began
  left join (
       select c.product_id, told.item_id, c.created_at as replied_at
         from :comments(author_id, created_at, public) as c
        cross join lateral (
              select v.item_id, v.occurred_at
                from {comment_versions} as v
               where v.product_id = c.product_id and v.comment_id = c.comment_id and :known(v) and v.item_id is not null
               order by :key(v) limit 1) as told
        where :visible(c) and c.public is not false
          and (c.product_id, c.author_id) in (
              select team.product_id, team.user_id from {user_versions} as team
               where :known(team) and team.admin_id not in ('0', ''))
          and coalesce(
              (select o.admin_id from {user_versions} as o
                where o.product_id = c.product_id and o.user_id = c.author_id and :known(o) and o.admin_id is not null
                  and o.occurred_at <= told.occurred_at
                order by :key_desc(o) limit 1),
              (select o.admin_id from {user_versions} as o
                where o.product_id = c.product_id and o.user_id = c.author_id and :known(o) and o.admin_id is not null
                order by :key(o) limit 1)) not in ('0', '')
       union all
       select moved.product_id, moved.item_id, moved.entered_at
         from steps as moved
        where moved.before_key is not null
       ) as reply on reply.product_id = began.product_id and reply.item_id = began.item_id
                 and reply.replied_at >= began.began_at
 group by began.product_id, began.item_id, began.began_at
having min(reply.replied_at) is not null
    or not exists (select from steps as seen where seen.product_id = began.product_id and seen.item_id = began.item_id
                      and seen.before_key is null and seen.key = any(:later_keys))

-- name: status_regressions
-- Moves from a later stage to an earlier one: from done or declined, or from the roadmap back to open.
select steps.product_id, steps.item_id, steps.before_key, steps.key, steps.entered_at, steps.left_at, steps.position,
       steps.place, extract(epoch from coalesce(steps.left_at, :at) - steps.entered_at) as lasted
  from (:status_steps) as steps
 where steps.entered_at >= :from and steps.entered_at < :until
   and case when steps.key = any(:open_keys) then 1 when steps.key = any(:roadmap_keys) then 2
            when steps.key = any(:closed_keys) then 3 end
       < case when steps.before_key = any(:open_keys) then 1 when steps.before_key = any(:roadmap_keys) then 2
              when steps.before_key = any(:closed_keys) then 3 end

-- name: satisfaction_series
-- An answer is replaced by the user's next one within 30 days, as in `superseded_at`: found for all in one pass,
-- and not anew for each step. Nor is each held against each step: its own is looked up.
with calendar as materialized (
     select array_agg(bucket.starts_at order by bucket.starts_at) as begins from (:buckets) as bucket
), answered as (
     select width_bucket(stood.answered_at, (select calendar.begins from calendar)) as step, stood.score,
            stood.user_id is not null and stood.next_at < stood.answered_at + interval '30 days' as replaced
       from (
            select answer.answered_at, answer.score, answer.user_id,
                   lead(answer.answered_at) over (partition by answer.product_id, answer.user_id
                       order by answer.answered_at, answer.position) as next_at
              from :satisfaction_answers() as answer
             where :visible(answer) and not answer.deleted and answer.grp = :group
            ) as stood
      where stood.answered_at >= :from and stood.answered_at < :until
)
select told.starts_at,
       count(told.score) filter (where told.replaced is not true)::int as n,
       avg(told.score) filter (where told.replaced is not true)::float8 as avg,
       count(told.score) filter (where told.replaced)::int as replaced
  from (
       select unnest(calendar.begins) as starts_at, null as score, null as replaced from calendar
        union all
       select ((select calendar.begins from calendar))[answered.step], answered.score, answered.replaced from answered
        where answered.step > 0
       ) as told
 group by told.starts_at

-- name: status_backlog
-- How many items stood in each status at the end of each step, and their net votes: both are running sums of
-- what came to a status and left it. A status, and a number of votes, holds from the step of the post that
-- told it to that of the next.
with :calendar, stood as materialized (
     select held.number, held.key, greatest(held.step, present.step) as step,
            least(held.step_after, present.step_after) as step_after
       from (
            select said.number, said.key, said.step,
                   lead(said.step, 1, (select calendar.steps from calendar) + 1) over (partition by said.number
                       order by :key(said)) as step_after
              from (select board.number, c.status as key, :step_of(c), c.occurred_at, c.is_delete,
                           c.updated_at, c.position
                      from {item_contents} as c
                      join board on board.product_id = c.product_id and board.item_id = c.item_id
                     where :visible(c) and :known(c) and c.status is not null) as said
            ) as held
       join present on present.number = held.number
                   and present.step < held.step_after and present.step_after > held.step
      where held.step < held.step_after
), voted as materialized (
     select said.number, said.votes, said.step, said.step_after
       from (
            select said.number, said.votes, said.step,
                   lead(said.step, 1, (select calendar.steps from calendar) + 1) over (partition by said.number
                       order by :key(said)) as step_after
              from (select board.number, :net(c) as votes,
                           :step_of(c), c.occurred_at, c.is_delete, c.updated_at, c.position
                      from {item_counts} as c
                      join board on board.product_id = c.product_id and board.item_id = c.item_id
                     where :visible(c) and :known(c) and :net(c) is not null) as said
            ) as said
      where said.step < said.step_after
), moved as (
     select stood.key, stood.step, 1 as items, 0 as votes from stood
     union all
     select stood.key, stood.step_after, -1, 0 from stood
     union all
     select stood.key, step.number, 0, step.sign * voted.votes
       from stood
       join voted on voted.number = stood.number and voted.step < stood.step_after and voted.step_after > stood.step
      cross join lateral (values (greatest(stood.step, voted.step), 1),
                                 (least(stood.step_after, voted.step_after), -1)) as step(number, sign)
)
select counted.starts_at, json_agg(json_build_array(counted.key, counted.items, counted.votes)
           order by counted.items desc, counted.key) filter (where counted.items > 0) as by_status
  from (
       select (select calendar.begins from calendar)[grid.step] as starts_at, grid.key,
              (sum(coalesce(change.items, 0)) over by_key)::int as items,
              (sum(coalesce(change.votes, 0)) over by_key)::int as votes
         from (select step.number as step, known.key
                 from generate_series(1, (select calendar.steps from calendar)) as step(number)
                 left join (select distinct stood.key from stood) as known on true) as grid
         left join (select moved.step, moved.key, sum(moved.items) as items, sum(moved.votes) as votes
                      from moved group by moved.step, moved.key) as change
           on change.step = grid.step and change.key = grid.key
       window by_key as (partition by grid.key order by grid.step)
       ) as counted
 group by counted.starts_at

-- name: event_series
-- How many events happened in each step; steps without any are left out. For too many, and for hours that come twice,
-- see `buckets`.
select case when count(*) over () > 10000 then ('too many steps of a ' || :bucket || ': ' || count(*) over ())::timestamptz
            else told.starts_at end as starts_at,
       sum(told.events)::int as events, max(told.last_position) as last_position
  from (
       select case when :bucket = 'hour' and start.is_later then start.later else start.earlier end as starts_at,
              start.events, start.last_position
         from (:starts_of) as start
       ) as told
 group by told.starts_at

-- name: local_starts_told
select counted.local, counted.is_later, count(*) as events, max(counted.position) as last_position
  from (
       select told.local, told.local at time zone :zone <= told.occurred_at as is_later, told.position
         from (select date_trunc(:bucket, fact.occurred_at at time zone :zone) as local, fact.occurred_at, fact.position
                 from {event_facts} as fact
                where :visible(fact) and :known(fact) and fact.occurred_at >= :from and fact.occurred_at < :until) as told
       ) as counted
 group by counted.local, counted.is_later

-- name: drift
select n.position, n.ordinal, n.product_id, n.item_id, n.kind, n.field, n.delta, n.ours, n.theirs, n.occurred_at,
       n.likely_cause,
       (select told.position from {event_facts} as told where told.position = n.explained_by and :known(told)) as explained_by
  from {inferences} as n
 where :visible(n) and :known(n)
