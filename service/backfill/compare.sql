-- What was listed against what is projected, both read by the projections' own rules: what a row says is what an
-- event with that row as its data would say. Each gives one for each row that was listed, by its place, with
--
--   known      whether there is such a thing, and not only its id
--   born       whether an event told that it was made
--   fields     what of it is projected otherwise
--   counts     whether numbers are that change without an edit
--   older      whether something newer was told meanwhile: then the row has nothing to say
--   last_told  when it was told or seen last, by the clock that `updated` has: an edit of before would not show
--   silent     whether who wrote it was erased: texts stay redacted, and are not compared
--   stranger   whether no more than an id is known of whose it is
--
-- What changes by itself (trend, scoring, ratio, a user's numbers) is not compared.

-- name: posts
--   $1 product_id
--   $2 rows  a JSON list
select l.place::int - 1 as place,
       i.item_id is not null and not i.deleted as known,
       exists (select
                 from {item_lifecycles} c
                where c.product_id = $1
                  and c.item_id = i.item_id
                  and c.action = 'create') as born,
       read_model.otherwise(to_jsonb(p), to_jsonb(i)) as fields,
       (i.votes_up, i.votes_down, i.comments, i.subscribers)
           is distinct from (read_model.int_of(l.row ->> 'total_up'), read_model.int_of(l.row ->> 'total_down'),
                             read_model.int_of(l.row ->> 'total_comments'), read_model.int_of(l.row ->> 'total_subscriber'))
           as counts,
       coalesce(i.updated_at > read_model.moment_of(l.row ->> 'updated'), false) as older,
       greatest(i.updated_at, (select max(c.occurred_at)
                                 from {item_counts} c
                                where c.product_id = $1
                                  and c.item_id = i.item_id)) as last_told,
       coalesce(u.erased, false) as silent,
       coalesce(u.name, u.mail) is null and not coalesce(u.deleted or u.erased, false) as stranger
  from jsonb_array_elements($2::jsonb) with ordinality as l (row, place)
 cross join lateral read_model.post_content('item', l.row) p
  left join {items} i
    on i.product_id = $1
   and i.item_id = coalesce(read_model.id_of(l.row ->> 'feedback_id'), read_model.id_of(l.row ->> 'id'))
  left join {users} u on u.product_id = $1 and u.user_id = p.author_id

-- name: users
--   $1 product_id
--   $2 rows  a JSON list
select l.place::int - 1 as place,
       u.user_id is not null and not u.deleted as known,
       exists (select
                 from {user_versions} v
                where v.product_id = $1
                  and v.user_id = u.user_id
                  and v.action = 'create') as born,
       -- In what customers and Sleekplan note as they like, numbers may be quoted or not.
       read_model.otherwise(
           (to_jsonb(c) - 'action' - 'stats') || jsonb_build_object(
               'notify', translate(c.notify::text, '"', ''), 'custom', translate(c.custom::text, '"', ''),
               'system', translate(c.system::text, '"', '')),
           to_jsonb(u) || jsonb_build_object(
               'notify', translate(u.notify::text, '"', ''), 'custom', translate(u.custom::text, '"', ''),
               'system', translate(u.system::text, '"', ''))
       ) as fields,
       false as counts,
       false as older,
       -- What is told beside their votes and posts says no more than their names.
       (select max(v.occurred_at)
          from {user_versions} v
         where v.product_id = $1
           and v.user_id = u.user_id
           and (v.action is not null or v.created_at is not null)) as last_told,
       coalesce(u.erased, false) as silent
  from jsonb_array_elements($2::jsonb) with ordinality as l (row, place)
 cross join lateral read_model.user_content('user', 'user.update', l.row, false) c
  left join {users} u on u.product_id = $1 and u.user_id = read_model.id_of(l.row ->> 'user_id')

-- name: comments
--   $1 product_id
--   $2 rows  a JSON list
select l.place as place,
       c.comment_id is not null and not c.deleted as known,
       exists (select
                 from {comment_versions} v
                where v.product_id = $1
                  and v.comment_id = c.comment_id
                  and v.action = 'create') as born,
       -- Public is what a comment is that does not say it.
       read_model.otherwise(
           to_jsonb(p) - 'likes' - case when c.public is null and p.public then 'public' else '' end
               || jsonb_build_object('item_id', l.item_id, 'author_id', l.author_id),
           to_jsonb(c)
       ) as fields,
       coalesce(c.likes, 0) <> coalesce(p.likes, 0) as counts,
       coalesce(c.updated_at > l.updated_at, false) as older,
       greatest(c.updated_at, c.occurred_at) as last_told,
       coalesce(u.erased, false) as silent,
       coalesce(u.name, u.mail) is null and not coalesce(u.deleted or u.erased, false) as stranger
  from (
       select r.place::int - 1 as place, r.row,
              read_model.id_of(r.row ->> 'feedback_id') as item_id,
              read_model.whose(r.row) as author_id,
              read_model.moment_of(r.row ->> 'updated') as updated_at
         from jsonb_array_elements($2::jsonb) with ordinality as r (row, place)
       ) l
 cross join lateral read_model.comment_content(l.row) p
  left join {comments} c on c.product_id = $1 and c.comment_id = p.comment_id
  left join {users} u on u.product_id = $1 and u.user_id = l.author_id

-- name: votes
-- A vote without its user is known where as many votes of that moment and direction are as were listed up to it: a
-- deleted person's vote is listed without its user. `nameless` are the votes, told without a name within seconds of it
-- and the nearest first, that one may be which is not known; `undirected` the voters of those of its moment that were
-- told without a direction, one of which a vote without its user may be.
--   $1 product_id
--   $2 rows  a JSON list
select l.place::int - 1 as place,
       case when l.user_id is null
            then l.number <= (select count(*)
                                from {votes} v
                               where v.product_id = $1
                                 and v.item_id = l.item_id
                                 and v.cast_at = l.created_at
                                 and v.value = l.value
                                 and not v.withdrawn)
            else coalesce(not o.withdrawn and o.value is not null, false) end as known,
       true as born,
       -- One that was taken back and cast again between two looks has another date.
       case when o.withdrawn or o.value is null then '{}'
            when o.value <> l.value then array['value']
            when abs(extract(epoch from o.cast_at - l.created_at)) > 5 then array['cast_at']
            else '{}' end as fields,
       false as counts,
       false as older,
       o.occurred_at as last_told,
       false as silent,
       coalesce(u.name, u.mail) is null and not coalesce(u.deleted or u.erased, false) as stranger,
       coalesce(n.positions, '{}') as nameless,
       coalesce(n.moments, '{}') as nameless_at,
       array(select v.voter
               from {votes} v
              where l.user_id is null
                and v.product_id = $1
                and v.item_id = l.item_id
                and v.cast_at = l.created_at
                and v.value is null
                and not v.withdrawn
              order by v.position) as undirected
  from (
       select w.place, w.item_id, w.user_id, w.value, w.created_at,
              row_number() over (partition by w.user_id, w.value, w.created_at order by w.place) as number
         from (
              select r.place,
                     read_model.id_of(r.row ->> 'feedback_id') as item_id,
                     read_model.whose(r.row) as user_id,
                     sign(read_model.int_of(r.row ->> 'vote'))::smallint as value,
                     read_model.moment_of(r.row ->> 'created') as created_at
                from jsonb_array_elements($2::jsonb) with ordinality as r (row, place)
              ) w
       ) l
  left join {votes} o on o.product_id = $1 and o.item_id = l.item_id and o.voter = l.user_id
  left join {users} u on u.product_id = $1 and u.user_id = l.user_id
  left join lateral (
       select array_agg(v.position order by abs(extract(epoch from v.cast_at - l.created_at)), v.position) as positions,
              array_agg(v.occurred_at order by abs(extract(epoch from v.cast_at - l.created_at)), v.position) as moments
         from {votes} v
        where v.product_id = $1
          and v.item_id = l.item_id
          and v.user_id is null
          and not v.withdrawn
          and v.cast_at between l.created_at - interval '5 seconds' and l.created_at + interval '5 seconds'
          and coalesce(v.value, l.value) = l.value
       ) n on l.user_id is not null and o.voter is null

-- name: subscribers
--   $1 product_id
--   $2 rows  a JSON list
select r.place::int - 1 as place,
       coalesce(s.active, false) as known,
       true as born,
       '{}'::text[] as fields,
       false as counts,
       false as older,
       s.occurred_at as last_told,
       false as silent,
       coalesce(u.name, u.mail) is null and not coalesce(u.deleted or u.erased, false) as stranger
  from jsonb_array_elements($2::jsonb) with ordinality as r (row, place)
  left join {subscriptions} s
    on s.product_id = $1
   and s.item_id = read_model.id_of(r.row ->> 'feedback_id')
   and s.subscriber = read_model.whose(r.row)
  left join {users} u on u.product_id = $1 and u.user_id = read_model.whose(r.row)

-- name: updates
--   $1 product_id
--   $2 rows  a JSON list
select l.place::int - 1 as place,
       e.changelog_id is not null and not e.deleted as known,
       exists (select
                 from {changelog_versions} v
                where v.product_id = $1
                  and v.changelog_id = e.changelog_id
                  and v.action = 'create') as born,
       read_model.otherwise(
           to_jsonb(c) || jsonb_build_object('item_id', read_model.id_of(l.row ->> 'feedback_id')), to_jsonb(e)
       ) as fields,
       false as counts,
       false as older,
       e.updated_at as last_told,
       false as silent
  from jsonb_array_elements($2::jsonb) with ordinality as l (row, place)
 cross join lateral read_model.changelog_content(l.row) c
  left join {changelog_entries} e
    on e.product_id = $1
   and e.changelog_id = c.changelog_id

-- name: satisfaction
-- An answer is another one when it has another date: Sleekplan puts a newer one in the place of the older.
--   $1 product_id
--   $2 rows  a JSON list
select l.place::int - 1 as place,
       a.satisfaction_id is not null and not a.deleted as known,
       true as born,
       case when a.answered_at <> coalesce(read_model.moment_of(l.row ->> 'updated'), read_model.moment_of(l.row ->> 'created'))
              or a.score <> read_model.int_of(l.row ->> 'vote')
            then array['score'] else '{}' end as fields,
       false as counts,
       coalesce(a.answered_at > read_model.moment_of(l.row ->> 'updated'), false) as older,
       a.answered_at as last_told,
       coalesce(u.erased, false) as silent,
       coalesce(u.name, u.mail) is null and not coalesce(u.deleted or u.erased, false) as stranger
  from jsonb_array_elements($2::jsonb) with ordinality as l (row, place)
  left join {satisfaction_answers} a
    on a.product_id = $1
   and a.satisfaction_id = coalesce(read_model.id_of(l.row ->> 'satisfaction_id'), read_model.id_of(l.row ->> 'id'))
  left join {users} u
    on u.product_id = $1
   and u.user_id = read_model.whose(l.row)

-- name: dates_apart
-- By how many minutes webhooks told later that items were made than the dates in them say, to a quarter of an hour: by the
-- newest hundred, where three at least tell both. Sleekplan does not say which zone its dates are of.
--   $1 product_id
select percentile_disc(0.5) within group (order by round(extract(epoch from t.apart) / 900) * 15)::int as minutes
  from (
       select e.occurred_at - read_model.moment_of(read_model.post_of('item', e.data) ->> 'created') as apart
         from {item_lifecycles} l
         join log.events e on e.position = l.position and e.product_id = l.product_id
        where l.product_id = $1
          and l.action = 'create'
          and e.origin = 'WEBHOOK'
          and not e.occurred_assumed
        order by l.position desc
        limit 100
       ) t
having count(t.apart) >= 3
