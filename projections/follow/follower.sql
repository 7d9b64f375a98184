-- Following the log: the checkpoints, and the steps that move them.

-- name: note_error
-- What a group's last step failed with; null once it works again.
--   $1 epoch  $2 projections  $3 error
update read_model.checkpoints
   set last_error = $3
 where epoch = $1
   and projection = any ($2::text[])
   and last_error is distinct from $3;

-- name: lock_checkpoints
-- The checkpoints of a step, locked until it commits; those of another epoch are not ours to move. `parked`
-- says whether anything is set aside that later events may wait for.
--   $1 epoch  $2 projections  $3 what the steps are parked under
select projection, built_in, generation, position, fingerprint, tables,
       exists (select 1 from read_model.parked w where w.projection = $3) as parked
  from read_model.checkpoints
 where epoch = $1
   and projection = any ($2::text[])
 order by projection
   for update;

-- name: move_checkpoints
-- Compare and set: a row only where nobody else has moved it. Readers hear of it when it is committed.
--   $1 epoch  $2 projections  $3 first  $4 last  $5 events a second
update read_model.checkpoints
   set position = $4,
       moved_at = clock_timestamp(),
       rate = $5,
       last_error = null
 where epoch = $1
   and projection = any ($2::text[])
   and position = $3
returning projection, case when built_in then pg_notify('recount_projected', $4::bigint::text) end as told;

-- name: follow
-- Declares the usual step as one call, and so one round trip and one transaction: lock the checkpoints as above,
-- count the next events in, at most {short} of them, move the checkpoints. Returns where it began and where it ended;
-- null when there is more to it (another holder, other tables, something parked, a longer step): the long way
-- finds out what.
--   {follow} its name  {step} what counts the events of (first, last] in
--   my_epoch, mine, parked_under  as $1, $2 and $3 of lock_checkpoints
--   generations  of the tables that {step} writes, in the order of the names
--   most  how many events
create or replace function {follow}(my_epoch bigint, mine text[], parked_under text, generations int[], most bigint)
returns bigint[] language plpgsql as $follow$
declare
    began     timestamptz := clock_timestamp();
    first     bigint;
    furthest  bigint;
    head      bigint;
    last      bigint;
    found_generations  int[];
begin
    select min(c.position), max(c.position), array_agg(c.generation order by c.projection collate "C")
      into first, furthest, found_generations
      from (
           select l.projection, l.generation, l.position
             from read_model.checkpoints l
            where l.epoch = my_epoch
              and l.projection = any (mine)
            order by l.projection
              for update
           ) c;
    if found_generations is distinct from generations
       or first <> furthest
       or exists (select from read_model.parked w where w.projection = parked_under)
    then
        return null;
    end if;
    head := coalesce((select e.position from log.events e order by e.position desc limit 1), 0);
    last := least(head, first + most);
    if last < first or last - first > {short} then
        return null;
    end if;
    if last > first then
        perform {step}(first, last);
        update read_model.checkpoints c
           set position = last,
               moved_at = clock_timestamp(),
               rate = (last - first) / greatest(extract(epoch from clock_timestamp() - began), 0.000001),
               last_error = null
         where c.epoch = my_epoch
           and c.projection = any (mine);
        if parked_under = '*' then
            perform pg_notify('recount_projected', last::text);
        end if;
    end if;
    return array[first, last];
end
$follow$;
