-- Whose turn it is at a task that one process at a time does. The clock is the database's.

-- name: take
-- Become or stay the holder: the epoch rises with each change of holder. No row: another one holds it.
-- One that ends later than any can was taken by a clock that went back since: its holder may be long dead.
--   $1 task  $2 holder  $3 for how many seconds
insert into read_model.lease as l (task, holder, epoch, expires)
values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
on conflict (task) do update
   set holder = excluded.holder,
       epoch = case when l.holder = excluded.holder then l.epoch else l.epoch + 1 end,
       expires = excluded.expires
 where l.holder = excluded.holder
    or l.expires < clock_timestamp()
    or l.expires > clock_timestamp() + 10 * make_interval(secs => $3)
returning l.epoch;

-- name: give_back
--   $1 task  $2 holder
update read_model.lease
   set expires = clock_timestamp()
 where task = $1
   and holder = $2;

-- name: holder
--   $1 task
select holder, epoch
  from read_model.lease
 where task = $1;
