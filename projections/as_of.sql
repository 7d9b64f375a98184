-- The state at (P, T): what was known when position P was the newest, of what had happened by T. Both are
-- inclusive; leave T at 'infinity' for a position alone, P at the head for a time alone.
--
-- Each table's rows are what one event said, so the state is the newest row by key
--     (occurred_at, is_delete, updated_at, position)
-- among those with position <= P and occurred_at <= T, and what that row did not say comes from the newest row
-- that did. To find it without stepping over everything that came after P: the last row by position that was
-- the newest when it came (`newest`, an index of its own) is the newest of all up to P. When it happened by T,
-- it is the row; otherwise the row is found from T downwards, where only late ones have a position above P.

-- name: recorded
-- The position that a moment of our own clock means: the newest event recorded by then; 0 before the first.
--   $1 recorded_at
select coalesce((
           select position
             from {event_facts}
            where recorded_at <= $1
            order by recorded_at desc, position desc
            limit 1
       ), 0) as position;

-- name: item
-- One item at (P, T); no row when it had not been heard of.
--   $1 product_id  $2 item_id  $3 position  $4 time
select $1::bigint as product_id, $2::text as item_id,
       v.title, v.description, v.status, v.type, v.effort, v.created_at, v.author_id,
       n.updated_at, n.votes_up, n.votes_down, n.votes_up - coalesce(n.votes_down, 0) as votes_net,
       n.total_sum, n.comments, n.subscribers, n.trend, n.scoring, n.ratio,
       coalesce(l.deleted, false) as deleted,
       case when l.deleted then l.occurred_at end as deleted_at,
       f.occurred_at as status_since
  from (
       -- The newest post up to P bounds what must be looked at below.
       select least($4::timestamptz, coalesce((
                  select c.occurred_at from {item_counts} c
                   where c.product_id = $1 and c.item_id = $2 and c.newest and c.position <= $3
                   order by c.position desc limit 1
              ), '-infinity')) as latest
       ) b
 cross join lateral (
       select (array_agg(c.updated_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.updated_at > '-infinity'))[1] as updated_at,
              (array_agg(c.votes_up order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.votes_up is not null))[1] as votes_up,
              (array_agg(c.votes_down order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.votes_down is not null))[1] as votes_down,
              (array_agg(c.total_sum order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.total_sum is not null))[1] as total_sum,
              (array_agg(c.comments order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.comments is not null))[1] as comments,
              (array_agg(c.subscribers order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.subscribers is not null))[1] as subscribers,
              (array_agg(c.trend order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.trend is not null))[1] as trend,
              (array_agg(c.scoring order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.scoring is not null))[1] as scoring,
              (array_agg(c.ratio order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.ratio is not null))[1] as ratio
         from {item_counts} c
        where c.product_id = $1
          and c.item_id = $2
          and c.position <= $3
          and c.occurred_at <= b.latest
          and c.occurred_at >= coalesce((
                  select o.occurred_at from {item_counts} o
                   where o.product_id = $1 and o.item_id = $2 and o.complete
                     and o.position <= $3 and o.occurred_at <= b.latest
                   order by o.occurred_at desc, o.is_delete desc, o.updated_at desc, o.position desc limit 1
              ), '-infinity')
       ) n
 cross join lateral (
       select (array_agg(c.title order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.title is not null))[1] as title,
              (array_agg(c.description order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.description is not null))[1] as description,
              (array_agg(c.status order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.status is not null))[1] as status,
              (array_agg(c.type order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.type is not null))[1] as type,
              (array_agg(c.effort order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.effort is not null))[1] as effort,
              (array_agg(c.created_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.created_at is not null))[1] as created_at,
              (array_agg(c.author_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.author_id is not null))[1] as author_id
         from {item_contents} c
        where c.product_id = $1
          and c.item_id = $2
          and c.position <= $3
          and c.occurred_at <= b.latest
          and c.occurred_at >= coalesce((
                  select o.occurred_at from {item_contents} o
                   where o.product_id = $1 and o.item_id = $2 and o.complete
                     and o.position <= $3 and o.occurred_at <= b.latest
                   order by o.occurred_at desc, o.is_delete desc, o.updated_at desc, o.position desc limit 1
              ), '-infinity')
       ) v
  left join lateral (
       select c.action = 'delete' as deleted, c.occurred_at
         from {item_lifecycles} c
        where c.product_id = $1
          and c.item_id = $2
          and c.position <= $3
          and c.occurred_at <= $4
        order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
        limit 1
       ) l on true
  left join lateral (
       -- The last row that says another status …
       select c.occurred_at, c.is_delete, c.updated_at, c.position
         from {item_contents} c
        where c.product_id = $1
          and c.item_id = $2
          and c.position <= $3
          and c.occurred_at <= b.latest
          and c.status <> v.status
        order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
        limit 1
       ) x on true
  left join lateral (
       -- … and the first one after it that says the one at (P, T).
       select c.occurred_at
         from {item_contents} c
        where c.product_id = $1
          and c.item_id = $2
          and c.position <= $3
          and c.status = v.status
          and (c.occurred_at, c.is_delete, c.updated_at, c.position)
              > (coalesce(x.occurred_at, '-infinity'), coalesce(x.is_delete, false),
                 coalesce(x.updated_at, '-infinity'), coalesce(x.position, 0))
        order by c.occurred_at, c.is_delete, c.updated_at, c.position
        limit 1
       ) f on true
 where exists (
       select 1
         from {item_sightings} s
        where s.product_id = $1
          and s.item_id = $2
          and s.position <= $3
          and s.occurred_at <= $4
       );

-- name: items
-- The ids of a product's items that had been heard of at (P, T).
--   $1 product_id  $2 position  $3 time
select distinct s.item_id
  from {item_sightings} s
 where s.product_id = $1
   and s.position <= $2
   and s.occurred_at <= $3;

-- name: votes
-- The votes of an item at (P, T), withdrawn ones included.
--   $1 product_id  $2 item_id  $3 position  $4 time
select distinct on (c.voter) c.voter, c.user_id, c.value, c.withdrawn, c.cast_at, c.occurred_at, c.position
  from {vote_versions} c
 where c.product_id = $1
   and c.item_id = $2
   and c.position <= $3
   and c.occurred_at <= $4
 order by c.voter, c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc;

-- name: subscriptions
-- Who followed an item at (P, T), and who did no longer.
--   $1 product_id  $2 item_id  $3 position  $4 time
select distinct on (c.subscriber) c.subscriber, c.user_id, c.active, c.since, c.occurred_at, c.position
  from {subscription_versions} c
 where c.product_id = $1
   and c.item_id = $2
   and c.position <= $3
   and c.occurred_at <= $4
 order by c.subscriber, c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc;

-- name: comment
-- One comment at (P, T); no row when it had not been heard of.
--   $1 product_id  $2 comment_id  $3 position  $4 time
select v.item_id, v.author_id, v.body, v.status, v.type, v.likes, v.created_at, v.updated_at,
       coalesce(l.deleted, false) as deleted, case when l.deleted then l.occurred_at end as deleted_at
  from (
       select (array_agg(c.item_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.item_id is not null))[1] as item_id,
              (array_agg(c.author_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.author_id is not null))[1] as author_id,
              (array_agg(c.body order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.body is not null))[1] as body,
              (array_agg(c.status order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.status is not null))[1] as status,
              (array_agg(c.type order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.type is not null))[1] as type,
              (array_agg(c.likes order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.likes is not null))[1] as likes,
              (array_agg(c.created_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.created_at is not null))[1] as created_at,
              (array_agg(c.updated_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.updated_at > '-infinity'))[1] as updated_at,
              count(*) as events
         from {comment_versions} c
        where c.product_id = $1
          and c.comment_id = $2
          and c.position <= $3
          and c.occurred_at <= $4
       ) v
  left join lateral (
       select c.action = 'delete' as deleted, c.occurred_at
         from {comment_versions} c
        where c.product_id = $1
          and c.comment_id = $2
          and c.position <= $3
          and c.occurred_at <= $4
          and c.action is not null
        order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
        limit 1
       ) l on true
 where v.events > 0;

-- name: comments
-- The ids of an item's comments that had been heard of at (P, T).
--   $1 product_id  $2 item_id  $3 position  $4 time
select distinct c.comment_id
  from {comment_versions} c
 where c.product_id = $1
   and c.item_id = $2
   and c.position <= $3
   and c.occurred_at <= $4;

-- name: user
-- One user at (P, T); no row when they had not been heard of.
--   $1 product_id  $2 user_id  $3 position  $4 time
select v.data_id, v.name, v.full_name, v.mail, v.img, v.admin_id, v.anonymous,
       read_model.text_list(v.segments) as segments, v.custom, v.system, v.weight, v.notify, v.stats, v.created_at,
       a.first_seen_at, a.last_active_at,
       coalesce(l.deleted, false) as deleted, case when l.deleted then l.occurred_at end as deleted_at
  from (
       select min(c.occurred_at) as first_seen_at,
              max(c.occurred_at) filter (where c.actor) as last_active_at
         from {user_sightings} c
        where c.product_id = $1
          and c.user_id = $2
          and c.position <= $3
          and c.occurred_at <= $4
       ) a
 cross join lateral (
       select (array_agg(c.data_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.data_id is not null))[1] as data_id,
              (array_agg(c.name order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.name is not null))[1] as name,
              (array_agg(c.full_name order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.full_name is not null))[1] as full_name,
              (array_agg(c.mail order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.mail is not null))[1] as mail,
              (array_agg(c.img order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.img is not null))[1] as img,
              (array_agg(c.admin_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.admin_id is not null))[1] as admin_id,
              (array_agg(c.anonymous order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.anonymous is not null))[1] as anonymous,
              (array_agg(to_jsonb(c.segments) order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.segments is not null))[1] as segments,
              (array_agg(c.custom order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.custom is not null))[1] as custom,
              (array_agg(c.system order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.system is not null))[1] as system,
              (array_agg(c.weight order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.weight is not null))[1] as weight,
              (array_agg(c.notify order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.notify is not null))[1] as notify,
              (array_agg(c.stats order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.stats is not null))[1] as stats,
              (array_agg(c.created_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.created_at is not null))[1] as created_at
         from {user_versions} c
        where c.product_id = $1
          and c.user_id = $2
          and c.position <= $3
          and c.occurred_at <= $4
       ) v
  left join lateral (
       select c.action = 'delete' as deleted, c.occurred_at
         from {user_versions} c
        where c.product_id = $1
          and c.user_id = $2
          and c.position <= $3
          and c.occurred_at <= $4
          and c.action is not null
        order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
        limit 1
       ) l on true
 where a.first_seen_at is not null;

-- name: changelog_entry
-- One changelog entry at (P, T); no row when it had not been heard of.
--   $1 product_id  $2 changelog_id  $3 position  $4 time
select v.title, v.description, v.type, v.segment, v.draft, v.announcement, v.scheduled_at, v.item_id, v.created_at,
       v.updated_at,
       case when v.draft then null else coalesce(v.scheduled_at, v.first_told_at, v.created_at) end as published_at,
       coalesce(l.deleted, false) as deleted, case when l.deleted then l.occurred_at end as deleted_at
  from (
       select (array_agg(c.title order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.title is not null))[1] as title,
              (array_agg(c.description order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.description is not null))[1] as description,
              (array_agg(c.type order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.type is not null))[1] as type,
              (array_agg(c.segment order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.segment is not null))[1] as segment,
              (array_agg(c.draft order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.draft is not null))[1] as draft,
              (array_agg(c.announcement order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.announcement is not null))[1] as announcement,
              (array_agg(c.scheduled_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.scheduled_at is not null))[1] as scheduled_at,
              (array_agg(c.item_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.item_id is not null))[1] as item_id,
              (array_agg(c.created_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.created_at is not null))[1] as created_at,
              (array_agg(c.updated_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.updated_at > '-infinity'))[1] as updated_at,
              min(c.occurred_at) filter (where c.action = 'create') as first_told_at,
              count(*) as events
         from {changelog_versions} c
        where c.product_id = $1
          and c.changelog_id = $2
          and c.position <= $3
          and c.occurred_at <= $4
       ) v
  left join lateral (
       select c.action = 'delete' as deleted, c.occurred_at
         from {changelog_versions} c
        where c.product_id = $1
          and c.changelog_id = $2
          and c.position <= $3
          and c.occurred_at <= $4
          and c.action is not null
        order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
        limit 1
       ) l on true
 where v.events > 0;

-- name: satisfaction_answer
-- One CSAT answer at (P, T); no row when it had not been heard of.
--   $1 product_id  $2 satisfaction_id  $3 position  $4 time
select v.user_id, v.score, v.comment, coalesce(v.grp, 'default') as grp, v.meta,
       coalesce(v.answered_at, v.occurred_at) as answered_at, l.deleted,
       case when l.deleted then l.occurred_at end as deleted_at
  from (
       select (array_agg(c.user_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.user_id is not null))[1] as user_id,
              (array_agg(c.score order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.score is not null))[1] as score,
              (array_agg(c.comment order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.comment is not null))[1] as comment,
              (array_agg(c.grp order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.grp is not null))[1] as grp,
              (array_agg(c.meta order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.meta is not null))[1] as meta,
              (array_agg(c.answered_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                   filter (where c.answered_at is not null))[1] as answered_at,
              max(c.occurred_at) as occurred_at
         from {satisfaction_versions} c
        where c.product_id = $1
          and c.satisfaction_id = $2
          and c.position <= $3
          and c.occurred_at <= $4
       ) v
  join lateral (
       select c.is_delete as deleted, c.occurred_at
         from {satisfaction_versions} c
        where c.product_id = $1
          and c.satisfaction_id = $2
          and c.position <= $3
          and c.occurred_at <= $4
        order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
        limit 1
       ) l on true;
