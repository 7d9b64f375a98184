-- What stands by the read model and was not listed: of an item, or of the board. Each gives the id, and when it was seen
-- to stand last: by what was told of it, by the sweep that told it, or by the last look that found all there was.
-- Whether what is noted went is settled by a second look, here too.

-- name: posts
--   $1 product_id  $2 item_id  unused  $3 ids that are listed  $4 the last whole look
--   $5 and $6 between which dates they were made; null: whenever
select i.item_id as id,
       greatest((select max(c.occurred_at) from {item_counts} c where c.product_id = $1 and c.item_id = i.item_id),
                i.first_seen_at, case when e.recorded_at < $4 then $4::timestamptz end) as not_before,
       null::timestamptz as cast_at
  from {items} i
  left join log.events e on e.position = i.first_position and e.product_id = i.product_id
  left join unnest($3::text[]) l (id) on l.id = i.item_id
 where i.product_id = $1
   and not i.deleted
   and l.id is null
   and $2::text is not null
   and ($5::text is null or i.created_at > read_model.moment_of($5))
   and ($6::text is null or i.created_at < read_model.moment_of($6))

-- name: comments
-- Private notes are listed to team members alone: where none is, nothing is known of them.
--   $1 product_id  $2 item_id  $3 ids that are listed  $4 the last whole look  $5 whether a private note is listed  $6 unused
select c.comment_id as id,
       greatest(c.occurred_at, e.seen_at, case when e.recorded_at < $4 then $4::timestamptz end) as not_before,
       null::timestamptz as cast_at
  from {comments} c
  left join unnest($3::text[]) l (id) on l.id = c.comment_id
 cross join lateral (
       select e.recorded_at, case when e.origin in ('BACKFILL', 'RECONCILE')
                                  then (e.envelope -> 'observed' ->> 'seen_at')::timestamptz end as seen_at
         from log.events e
        where e.position = c.position
          and e.product_id = c.product_id
       ) e
 where c.product_id = $1
   and c.item_id = $2
   and not c.deleted
   and l.id is null
   and (not c.private or $5::text = 'private')
   and $6::text is null

-- name: votes
-- A person who was deleted is not listed any more, or without a name; the vote stays.
--   $1 product_id  $2 item_id  $3 users that are listed  $4 the last whole look
--   $5 when votes were cast that are listed without a user  $6 unused
select v.voter as id,
       greatest(v.occurred_at, e.seen_at, case when e.recorded_at < $4 then $4::timestamptz end) as not_before,
       v.cast_at
  from {votes} v
  left join {users} u on u.product_id = v.product_id and u.user_id = v.user_id
  left join unnest($3::text[]) l (id) on l.id = v.voter
 cross join lateral (
       select e.recorded_at, case when e.origin in ('BACKFILL', 'RECONCILE')
                                  then (e.envelope -> 'observed' ->> 'seen_at')::timestamptz end as seen_at
         from log.events e
        where e.position = v.position
          and e.product_id = v.product_id
       ) e
 where v.product_id = $1
   and v.item_id = $2
   and not v.withdrawn
   and l.id is null
   and not coalesce(u.deleted, false)
   and not exists (select from unnest(string_to_array($5::text, ',')) n (created)
                    where read_model.moment_of(n.created) = v.cast_at)
   and $6::text is null

-- name: subscribers
--   $1 product_id  $2 item_id  $3 users that are listed  $4 the last whole look  $5 and $6 unused
select s.subscriber as id,
       greatest(s.occurred_at, e.seen_at, case when e.recorded_at < $4 then $4::timestamptz end) as not_before,
       null::timestamptz as cast_at
  from {subscriptions} s
  left join {users} u on u.product_id = s.product_id and u.user_id = s.user_id
  left join unnest($3::text[]) l (id) on l.id = s.subscriber
 cross join lateral (
       select e.recorded_at, case when e.origin in ('BACKFILL', 'RECONCILE')
                                  then (e.envelope -> 'observed' ->> 'seen_at')::timestamptz end as seen_at
         from log.events e
        where e.position = s.position
          and e.product_id = s.product_id
       ) e
 where s.product_id = $1
   and s.item_id = $2
   and s.active
   and s.user_id is not null
   and l.id is null
   and not coalesce(u.deleted, false)
   and $5::text is not distinct from $6::text

-- name: users
-- Those who were told whole once: guests may never be listed. The list is in the order of their dates; whoever comes before
-- its first, or after its last, may have been cut off with the rest of it.
--   $1 product_id  $2 item_id  unused  $3 ids that are listed  $4 the last whole look
--   $5 and $6 between which dates they were made that are listed
select u.user_id as id,
       greatest(u.created_at, v.occurred_at, case when e.recorded_at < $4 then $4::timestamptz end) as not_before,
       null::timestamptz as cast_at
  from {users} u
  left join unnest($3::text[]) l (id) on l.id = u.user_id
  left join log.events e on e.position = u.position and e.product_id = u.product_id
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
   and u.created_at > read_model.moment_of($5)
   and u.created_at < read_model.moment_of($6)

-- name: updates
-- As users.
--   $1 product_id  $2 item_id  unused  $3 ids that are listed  $4 the last whole look
--   $5 and $6 between which dates they were made that are listed
select c.changelog_id as id,
       greatest(c.occurred_at, e.seen_at, case when e.recorded_at < $4 then $4::timestamptz end) as not_before,
       null::timestamptz as cast_at
  from {changelog_entries} c
  left join unnest($3::text[]) l (id) on l.id = c.changelog_id
 cross join lateral (
       select e.recorded_at, case when e.origin in ('BACKFILL', 'RECONCILE')
                                  then (e.envelope -> 'observed' ->> 'seen_at')::timestamptz end as seen_at
         from log.events e
        where e.position = c.position
          and e.product_id = c.product_id
       ) e
 where c.product_id = $1
   and $2::text is not null
   and not c.deleted
   and l.id is null
   and c.created_at > read_model.moment_of($5)
   and c.created_at < read_model.moment_of($6)

-- name: standing
-- How many stand of each kind of which a ceiling is kept.
--   $1 product_id
select (select count(*) from {items} where product_id = $1 and not deleted) as posts,
       (select count(*) from {comments} where product_id = $1 and not deleted) as comments,
       (select count(*) from {users} where product_id = $1 and not deleted and created_at is not null) as users,
       (select count(*) from {changelog_entries} where product_id = $1 and not deleted) as updates

-- name: of_items
-- How many votes, comments and followers are known of some items, and whether totals moved there that nobody explained.
--   $1 product_id  $2 items  $3 the head of the last sweep that was complete
select i.item_id,
       i.known_up + i.known_down as votes,
       (select count(*) from {comments} c where c.product_id = $1 and c.item_id = i.item_id and not c.deleted) as comments,
       (select count(*) from {subscriptions} s where s.product_id = $1 and s.item_id = i.item_id and s.active) as subscribers,
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
-- When the last complete sweep saw all that there was of a list.
--   $1 sweep  $2 scope  $3 item
select max(c.seen_from)
  from log.sweeps s
  join log.sweeps o on o.product_id = s.product_id and o.id <> s.id and o.started_at < s.started_at
  join log.sweep_scopes c on c.sweep_id = o.id and c.scope = $2 and c.item_id = $3 and c.whole
 where s.id = $1;

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
