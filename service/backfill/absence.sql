-- What stands by the read model and was not listed: of an item, or of the board. Each gives the id, and when it was seen
-- to stand last: by what was told of it, by the sweep that told it, or by the last look that found all there was.
-- Whether what is noted went is settled by a second look, here too.

-- name: stood
-- When it was seen to stand last, of a row `t` that the event `e` told: then, when the sweep saw it that fetched the event, or
-- at the last look that found all there was, before which the event was recorded.
greatest(t.occurred_at,
         case when e.origin in ('BACKFILL', 'RECONCILE') then (e.envelope -> 'observed' ->> 'seen_at')::timestamptz end,
         case when t.position <= $5 then $4::timestamptz end)

-- name: posts
--   $1 product_id  $2 item_id  unused  $3 ids that are listed  $4 the last whole look  $5 the head before it
--   $6 and $7 between which dates they were made; null: whenever
select i.item_id as id,
       greatest((select max(c.occurred_at) from {item_counts} c where c.product_id = $1 and c.item_id = i.item_id),
                i.first_seen_at, case when i.first_position <= $5 then $4::timestamptz end) as not_before,
       null::timestamptz as cast_at
  from {items} i
  left join unnest($3::text[]) l (id) on l.id = i.item_id
 where i.product_id = $1
   and not i.deleted
   and l.id is null
   and $2::text is not null
   and ($6::text is null or i.created_at > read_model.moment_of($6))
   and ($7::text is null or i.created_at < read_model.moment_of($7))

-- name: comments
-- Private notes are listed to team members alone: where none is, nothing is known of them.
--   $1 product_id  $2 item_id  $3 ids that are listed  $4 the last whole look  $5 the head before it
--   $6 whether a private note is listed  $7 unused
select t.comment_id as id,
       :stood as not_before,
       null::timestamptz as cast_at
  from {comments} t
  join log.events e on e.position = t.position and e.product_id = t.product_id
  left join unnest($3::text[]) l (id) on l.id = t.comment_id
 where t.product_id = $1
   and t.item_id = $2
   and not t.deleted
   and l.id is null
   and (not t.private or $6::text = 'private')
   and $7::text is null

-- name: votes
-- A person who was deleted is not listed any more, or without a name; the vote stays.
--   $1 product_id  $2 item_id  $3 users that are listed  $4 the last whole look  $5 the head before it
--   $6 when votes were cast that are listed without a user  $7 unused
select t.voter as id,
       :stood as not_before,
       t.cast_at
  from {votes} t
  join log.events e on e.position = t.position and e.product_id = t.product_id
  left join {users} u on u.product_id = t.product_id and u.user_id = t.user_id
  left join unnest($3::text[]) l (id) on l.id = t.voter
 where t.product_id = $1
   and t.item_id = $2
   and not t.withdrawn
   and l.id is null
   and not coalesce(u.deleted, false)
   and not exists (select from unnest(string_to_array($6::text, ',')) n (created)
                    where read_model.moment_of(n.created) = t.cast_at)
   and $7::text is null

-- name: subscribers
--   $1 product_id  $2 item_id  $3 users that are listed  $4 the last whole look  $5 the head before it  $6 and $7 unused
select t.subscriber as id,
       :stood as not_before,
       null::timestamptz as cast_at
  from {subscriptions} t
  join log.events e on e.position = t.position and e.product_id = t.product_id
  left join {users} u on u.product_id = t.product_id and u.user_id = t.user_id
  left join unnest($3::text[]) l (id) on l.id = t.subscriber
 where t.product_id = $1
   and t.item_id = $2
   and t.active
   and t.user_id is not null
   and l.id is null
   and not coalesce(u.deleted, false)
   and $6::text is not distinct from $7::text

-- name: users
-- Those who were told whole once: guests may never be listed. The list is in the order of their dates; whoever comes before
-- its first, or after its last, may have been cut off with the rest of it.
--   $1 product_id  $2 item_id  unused  $3 ids that are listed  $4 the last whole look  $5 the head before it
--   $6 and $7 between which dates they were made that are listed
select u.user_id as id,
       greatest(u.created_at, v.occurred_at, case when u.position <= $5 then $4::timestamptz end) as not_before,
       null::timestamptz as cast_at
  from {users} u
  left join unnest($3::text[]) l (id) on l.id = u.user_id
  left join lateral (
       select max(v.occurred_at) as occurred_at
         from {user_versions} v
        where v.product_id = u.product_id
          and v.user_id = u.user_id
          -- Beside their posts they are told on when they are gone.
          and (v.action is not null or v.created_at is not null)
       ) v on true
 where u.product_id = $1
   and $2::text is not null
   and not u.deleted
   and not u.erased
   and l.id is null
   and u.created_at > read_model.moment_of($6)
   and u.created_at < read_model.moment_of($7)

-- name: updates
-- As users.
--   $1 product_id  $2 item_id  unused  $3 ids that are listed  $4 the last whole look  $5 the head before it
--   $6 and $7 between which dates they were made that are listed
select t.changelog_id as id,
       :stood as not_before,
       null::timestamptz as cast_at
  from {changelog_entries} t
  join log.events e on e.position = t.position and e.product_id = t.product_id
  left join unnest($3::text[]) l (id) on l.id = t.changelog_id
 where t.product_id = $1
   and $2::text is not null
   and not t.deleted
   and l.id is null
   and t.created_at > read_model.moment_of($6)
   and t.created_at < read_model.moment_of($7)

-- name: standing
-- How many stand of each kind of which a ceiling is kept.
--   $1 product_id
select (select count(*) from {items} where product_id = $1 and not deleted) as posts,
       (select count(*) from {comments} where product_id = $1 and not deleted) as comments,
       (select count(*) from {users} where product_id = $1 and not deleted and created_at is not null) as users,
       (select count(*) from {changelog_entries} where product_id = $1 and not deleted) as updates

-- name: of_items
-- How many votes, comments and followers are known of some items, how many of them would be spared as their people are
-- gone, and whether totals moved there that nobody explained.
--   $1 product_id  $2 items  $3 the head of the last sweep that was complete
select i.item_id,
       i.known_up + i.known_down as votes,
       (select count(*) from {comments} c where c.product_id = $1 and c.item_id = i.item_id and not c.deleted) as comments,
       (select count(*) from {subscriptions} s where s.product_id = $1 and s.item_id = i.item_id and s.active) as subscribers,
       (select count(*)
          from {votes} v
          join {users} u on u.product_id = v.product_id and u.user_id = v.user_id and u.deleted
         where v.product_id = $1
           and v.item_id = i.item_id
           and not v.withdrawn) as spared_votes,
       (select count(*)
          from {subscriptions} s
          join {users} u on u.product_id = s.product_id and u.user_id = s.user_id and u.deleted
         where s.product_id = $1
           and s.item_id = i.item_id
           and s.active) as spared_subscribers,
       i.merged_into is not null as merged,
       exists (select
                 from {inferences} n
                where n.product_id = $1
                  and n.item_id = i.item_id
                  and n.position > $3) as moved
  from {items} i
 where i.product_id = $1
   and i.item_id = any($2::text[])

-- name: note
-- What stands and was not listed at a first look.
--   $1 sweep  $2 kind  $3 item  $4 ids  $5 since when each
insert into log.sweep_absences (sweep_id, kind, item_id, id, not_before)
select $1, $2, $3, n.id, n.not_before
  from unnest($4::text[], $5::timestamptz[]) as n (id, not_before)
    on conflict do nothing;

-- name: noted
--   $1 sweep  $2 kind  $3 item
select id from log.sweep_absences where sweep_id = $1 and kind = $2 and item_id = $3;

-- name: noted_since
-- When something that is noted was seen to stand last.
--   $1 sweep  $2 kind  $3 item  $4 id
select not_before from log.sweep_absences where sweep_id = $1 and kind = $2 and item_id = $3 and id = $4;

-- name: came_back
--   $1 sweep  $2 kind  $3 item  $4 ids
delete from log.sweep_absences where sweep_id = $1 and kind = $2 and item_id = $3 and id = any($4::text[]);

-- name: settle
-- What the second look showed of some.
--   $1 sweep  $2 kind  $3 item  $4 ids  $5 since when each  $6 the evidence of each  $7 seen  $8 not after  $9 state
update log.sweep_absences a
   set state = $9, not_before = n.not_before, evidence = n.evidence, seen_at = $7, not_after = $8
  from unnest($4::text[], $5::timestamptz[], $6::text[]) as n (id, not_before, evidence)
 where a.sweep_id = $1
   and a.kind = $2
   and a.item_id = $3
   and a.id = n.id;

-- name: gone
--   $1 sweep
select kind, item_id, id, evidence, not_before, seen_at, not_after
  from log.sweep_absences
 where sweep_id = $1
   and state = 'GONE'
 order by kind, item_id, id;

-- name: absent_users
-- Users whom this sweep did not find listed, told to be gone or not.
--   $1 sweep
select id from log.sweep_absences where sweep_id = $1 and kind = 'users';

-- name: unsure
-- Whether an item is in doubt.
--   $1 sweep
select exists (select from log.sweep_absences where sweep_id = $1 and kind = 'posts' and state <> 'GONE');

-- name: unsure_before
-- Whether a sweep before, complete as well, did not find it either.
--   $1 sweep  $2 kind  $3 id
select exists (select
                 from log.sweep_absences a
                 join log.sweeps o on o.id = a.sweep_id
                 join log.sweeps s on s.id = $1
                where o.product_id = s.product_id
                  and o.id <> s.id
                  and o.state = 'COMPLETE'
                  and o.started_at < s.started_at
                  and a.kind = $2
                  and a.id = $3
                  and a.state = 'UNSURE');

-- name: look_before
-- When the last complete sweep saw all that there was of a list, by Sleekplan's clock, and what the newest position was before.
--   $1 sweep  $2 scope  $3 item
select c.seen_from, o.head
  from log.sweeps s
  join log.sweeps o on o.product_id = s.product_id and o.id <> s.id and o.started_at < s.started_at
  join log.sweep_scopes c on c.sweep_id = o.id and c.scope = $2 and c.item_id = $3 and c.whole
 where s.id = $1
 order by c.seen_from desc
 limit 1;

-- name: not_whole
-- What is not believed to be gone was not seen to stand there either.
--   $1 sweep  $2 scope  $3 item, empty: any
update log.sweep_scopes set whole = false where sweep_id = $1 and scope = $2 and $3 in ('', item_id);

-- name: whole
--   $1 sweep  $2 scope  $3 item
update log.sweep_scopes set whole = true where sweep_id = $1 and scope = $2 and item_id = $3;

-- name: before
-- The newest position when the last comparison began that was complete, and when that was.
--   $1 sweep
select coalesce(max(o.head), 0) as head, max(o.started_at) as started_at
  from log.sweeps s
  join log.sweeps o on o.product_id = s.product_id and o.id <> s.id and o.state = 'COMPLETE' and o.kind = 'RECONCILE'
 where s.id = $1;

-- name: forget
-- What is settled, of this sweep and of those before it; what is unsure is kept for the next.
--   $1 sweep
delete from log.sweep_absences a
 using log.sweeps o, log.sweeps s
 where s.id = $1
   and o.id = a.sweep_id
   and o.product_id = s.product_id
   and o.state <> 'RUNNING'
   and (o.id <> s.id or a.state <> 'UNSURE');
