-- The sweeps and their scopes: begun, gone on with, ended, shown.

-- name: begin
--   $1 product_id  $2 kind  $3 asked  $4 head
insert into log.sweeps (product_id, kind, asked, head)
values ($1, $2, $3::jsonb, $4)
returning id;

-- name: unfinished
-- The newest sweep that the same call began and that is to be gone on with: what failed in it is tried again. A comparison
-- is gone on with only where it was stopped on its way: one that went through is looked at anew.
--   $1 product_id  $2 kind  $3 asked  $4 for how many days
select id
  from log.sweeps
 where product_id = $1
   and kind = $2
   and asked = $3::jsonb
   and state in ('RUNNING', 'PARTIAL')
   and started_at > clock_timestamp() - make_interval(days => $4)
   and (state = 'RUNNING'
        or kind = 'BACKFILL'
        or exists (select from log.sweep_scopes c where c.sweep_id = sweeps.id and c.state = 'OPEN'))
   and not exists (select
                     from log.sweeps later
                    where later.product_id = $1
                      and later.kind = $2
                      and later.asked = $3::jsonb
                      and later.state = 'COMPLETE'
                      and later.started_at > sweeps.started_at)
 order by started_at desc
 limit 1;

-- name: resume
--   $1 sweep
update log.sweeps
   set state = 'RUNNING', finished_at = null, problem = null, moved_at = clock_timestamp()
 where id = $1;

-- name: reopen
--   $1 sweep
update log.sweep_scopes
   set state = 'OPEN', problem = null
 where sweep_id = $1
   and state in ('FAILED', 'FORBIDDEN');

-- name: open_scopes
-- Scopes to walk. One that is there is opened again where its item's totals are others than those that it was
-- walked for, or it brought another number of rows.
--   $1 sweep  $2 scopes  $3 items  $4 phase  $5 promised
insert into log.sweep_scopes as s (sweep_id, scope, item_id, phase, promised)
select $1, n.scope, n.item_id, $4, n.promised
  from unnest($2::text[], $3::text[], $5::bigint[]) with ordinality as n (scope, item_id, promised, place)
 order by n.place
    on conflict (sweep_id, scope, item_id) do update
   set state = 'OPEN', phase = $4, promised = excluded.promised, next_page = null
 where s.promised <> excluded.promised
    or s.state = 'DONE' and s.rows <> excluded.promised;

-- name: next_scopes
-- The next scopes to walk, of one phase.
--   $1 sweep
select scope, item_id, phase, promised, next_page
  from log.sweep_scopes
 where sweep_id = $1
   and state = 'OPEN'
   and phase = (select min(phase) from log.sweep_scopes where sweep_id = $1 and state = 'OPEN')
 order by place
 limit 200;

-- name: left
-- How many requests the open scopes take, at least one each.
--   $1 sweep  $2 rows a page
select coalesce(sum(greatest(ceil(promised / $2::float8), 1)), 0)::bigint
  from log.sweep_scopes
 where sweep_id = $1
   and state = 'OPEN';

-- name: page_done
-- What a page brought is recorded: go on behind it, or with the next scope where it was the last. No row where the lease
-- is another's by now.
--   $1 sweep  $2 scope  $3 item  $4 next_page  $5 rows of it  $6 seen  $7 whether it is the walk's first, $8 its last
--   $9 requests more  $10 events more  $11 task and $12 epoch of the lease
with counted as (
    update log.sweeps
       set requests = requests + $9, recorded = recorded + $10, moved_at = clock_timestamp()
     where id = $1
)
update log.sweep_scopes
   set next_page = $4,
       rows = case when $7 then $5 else rows + $5 end,
       seen_from = case when $7 then $6 else seen_from end,
       seen_to = $6,
       state = case when $8 then 'DONE' else state end
 where sweep_id = $1
   and scope = $2
   and item_id = $3
   and exists (select from read_model.lease where task = $11 and epoch = $12)
   -- Lost in a crash it costs a page that is asked for again, and nothing is in it that is not known: no need to wait
   -- for the disk, as the events of the page did.
   and (select set_config('synchronous_commit', 'off', true)) = 'off'
returning true;

-- name: scope_ended
--   $1 sweep  $2 scope  $3 item  $4 state  $5 problem
update log.sweep_scopes
   set state = $4, problem = $5
 where sweep_id = $1
   and scope = $2
   and item_id = $3;

-- name: kind_forbidden
-- All scopes of a name, where the key may not read them.
--   $1 sweep  $2 scope  $3 problem
update log.sweep_scopes
   set state = 'FORBIDDEN', problem = $3
 where sweep_id = $1
   and scope = $2
   and state = 'OPEN';

-- name: count_up
--   $1 sweep  $2 requests more  $3 events more
update log.sweeps
   set requests = requests + $2, recorded = recorded + $3, moved_at = clock_timestamp()
 where id = $1;

-- name: finish
-- End a sweep. It is complete unless something of it is missing; then how many scopes of each kind are.
--   $1 sweep  $2 problem  that stopped it; null: it went through
update log.sweeps
   set finished_at = clock_timestamp(),
       moved_at = clock_timestamp(),
       problem = $2,
       state = case when $2::text is null
                         and not exists (select
                                           from log.sweep_scopes
                                          where sweep_id = $1
                                            and state in ('OPEN', 'FAILED', 'FORBIDDEN'))
                    then 'COMPLETE' else 'PARTIAL' end
 where id = $1
returning state;

-- name: drop_scopes
-- The items' scopes of sweeps before the one that is now complete are of no use any more, but for those that say when all
-- of a list was seen last.
--   $1 sweep
delete from log.sweep_scopes o
 using log.sweeps b, log.sweeps s
 where s.id = $1
   and b.product_id = s.product_id
   and b.kind = s.kind
   and b.started_at < s.started_at
   and b.state <> 'RUNNING'
   and o.sweep_id = b.id
   and o.item_id <> ''
   and (not o.whole
        or exists (select
                     from log.sweep_scopes n
                    where n.sweep_id = s.id
                      and n.scope = o.scope
                      and n.item_id = o.item_id
                      and n.whole));

-- name: counted
-- The scopes of a sweep, by name and state.
--   $1 sweep
select scope, state, count(*) as scopes, sum(rows)::bigint as rows, max(problem) as problem,
       count(*) filter (where state = 'DONE' and promised <> rows) as otherwise
  from log.sweep_scopes
 where sweep_id = $1
 group by scope, state
 order by min(phase), scope, state;

-- name: state_now
-- The state of a sweep `s`: STOPPED where its process ended before it did, since nobody holds its product's lease.
case when s.state = 'RUNNING'
          and not exists (select
                            from read_model.lease l
                           where l.task = 'sweep of product ' || s.product_id
                             and l.expires > clock_timestamp())
     then 'STOPPED' else s.state end

-- name: list
-- The newest sweeps.
--   $1 limit
select s.id, s.product_id, s.kind, :state_now as state, s.started_at, s.finished_at, s.requests, s.recorded, s.problem
  from log.sweeps s
 order by s.started_at desc
 limit $1;

-- name: show
--   $1 sweep  its id, or how it begins
select s.id, s.product_id, s.kind, s.asked, :state_now as state, s.started_at, s.moved_at, s.finished_at, s.head, s.requests,
       s.recorded, s.problem
  from log.sweeps s
 where starts_with(s.id::text, $1)
 limit 2;

-- name: abandon
--   $1 sweep
update log.sweeps
   set state = 'ABANDONED', finished_at = clock_timestamp()
 where id = $1
   and state in ('RUNNING', 'PARTIAL')
returning id;

-- name: standing
-- Of each product and kind what its newest sweep is doing, when the last complete one ended, and what all of them took.
select s.product_id, s.kind, :state_now as state, a.requests, a.recorded,
       extract(epoch from a.completed_at)::float8 as completed_at
  from (
       select o.product_id, o.kind, (array_agg(o.id order by o.started_at desc))[1] as newest,
              sum(o.requests)::bigint as requests, sum(o.recorded)::bigint as recorded,
              max(o.finished_at) filter (where o.state = 'COMPLETE') as completed_at
         from log.sweeps o
        group by o.product_id, o.kind
       ) a
  join log.sweeps s on s.id = a.newest
 order by s.product_id, s.kind
 limit 100;
