-- How far each reaction has come: begun, noted, failed, skipped, stopped, set by somebody, shown.
-- What a rule's sender says counts for as long as nobody set the rule meanwhile (its revision) and no other instance
-- sends (the lease).

-- name: begin
-- Rules that are new begin at the head: what was before is none of theirs.
--   $1 names
insert into log.reactions (name, position)
select n.name, coalesce((select position from log.events order by position desc limit 1), 0)
  from unnest($1::text[]) as n (name)
    on conflict (name) do nothing;

-- name: keep_in_file
--   $1 names  of the rules that the file has
update log.reactions
   set in_file = name = any($1::text[])
 where in_file <> (name = any($1::text[]));

-- name: all
select name, position, ordinal, mark, told_to, state, revision, in_file, attempts, failing_since, problem, sent, sent_at,
       (select count(*) from log.reactions_skipped s where s.reaction = name) as skipped,
       coalesce((select e.position from log.events e order by e.position desc limit 1), 0) as head
  from log.reactions
 order by name;

-- name: erasures
-- How many erasures the log has gone through, and how many of them the read model.
select count(*), count(replayed_at) from log.erasures;

-- name: note
-- Where rules are now.
--   $1 names  $2 revisions  $3 positions  $4 ordinals  $5 marks  $6 moments told, null: as before
--   $7 how many messages more were taken  $8 task and $9 epoch of the lease
update log.reactions r
   set position = n.position,
       ordinal = n.ordinal,
       mark = n.mark,
       told_to = coalesce(n.told_to, r.told_to),
       sent = r.sent + n.sent,
       sent_at = case when n.sent > 0 then clock_timestamp() else r.sent_at end
  from unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[], $5::text[], $6::timestamptz[], $7::bigint[])
       as n (name, revision, position, ordinal, mark, told_to, sent)
 where r.name = n.name
   and r.revision = n.revision
   and exists (select from read_model.lease where task = $8 and epoch = $9);

-- name: failed
-- What is to be told next was not taken once more; since when.
--   $1 name  $2 revision  $3 task and $4 epoch of the lease  $5 problem
update log.reactions
   set attempts = attempts + 1, failing_since = coalesce(failing_since, clock_timestamp()), problem = $5
 where name = $1
   and revision = $2
   and exists (select from read_model.lease where task = $3 and epoch = $4)
returning failing_since;

-- name: recovered
-- What was not taken is taken now.
--   $1 name  $2 revision  $3 task and $4 epoch of the lease
update log.reactions
   set attempts = 0, failing_since = null, problem = null
 where name = $1
   and revision = $2
   and exists (select from read_model.lease where task = $3 and epoch = $4);

-- name: skip
-- Give up one message, list it, and go on behind it.
--   $1 name  $2 revision  $3 task and $4 epoch of the lease  $5 position, $6 ordinal and $7 mark  $8 reason
with given_up as (
    update log.reactions
       set position = $5, ordinal = $6, mark = $7, attempts = 0, failing_since = null, problem = null
     where name = $1
       and revision = $2
       and exists (select from read_model.lease where task = $3 and epoch = $4)
    returning name
)
insert into log.reactions_skipped (reaction, position, ordinal, reason)
select name, $5, $6, $8
  from given_up;

-- name: stop
-- End a rule before the message that it cannot tell, until somebody resumes it.
--   $1 name  $2 revision  $3 task and $4 epoch of the lease  $5 position, $6 ordinal and $7 mark  $8 problem
update log.reactions
   set state = 'STOPPED', position = $5, ordinal = $6, mark = $7, problem = $8
 where name = $1
   and revision = $2
   and exists (select from read_model.lease where task = $3 and epoch = $4);

-- name: set_state
--   $1 name  $2 state
update log.reactions
   set state = $2, attempts = 0, failing_since = null,
       problem = case when $2 = 'RUNNING' then null else problem end
 where name = $1
returning position;

-- name: replay
-- Tell all after a position again.
--   $1 name  $2 position
update log.reactions
   set position = $2, ordinal = 0, mark = null, state = 'RUNNING', revision = revision + 1, attempts = 0, failing_since = null,
       problem = null
 where name = $1
   and $2 <= coalesce((select position from log.events order by position desc limit 1), 0)
returning position;

-- name: skipped
--   $1 name  null: of all  $2 limit
select reaction, position, ordinal, reason, skipped_at
  from log.reactions_skipped
 where ($1::text is null or reaction = $1)
 order by id desc
 limit $2;
