-- Whether the log's tables are as its migrations made them.

-- name: unguarded
-- Tables of the log without the triggers that refuse change, or with these switched off.
select t.oid::regclass::text as name
  from pg_class t
 where (t.oid = 'log.events'::regclass
        or t.oid in (select i.inhrelid from pg_inherits i where i.inhparent = 'log.events'::regclass))
   and (select count(*)
          from pg_trigger g
         where g.tgrelid = t.oid
           and g.tgname in ('refuse_change', 'refuse_truncate')
           and g.tgenabled = 'O') < 2;

-- name: unkeyed
-- Tables of the log without their primary key, and its indexes that Postgres does not trust.
select t.oid::regclass::text as name, null as index
  from pg_class t
 where t.relnamespace = 'log'::regnamespace
   and t.relkind in ('r', 'p')
   and not exists (select from pg_index i where i.indrelid = t.oid and i.indisprimary)
 union all
select i.indrelid::regclass::text, i.indexrelid::regclass::text
  from pg_index i
  join pg_class t on t.oid = i.indrelid
 where t.relnamespace = 'log'::regnamespace
   and not (i.indisvalid and i.indisready)
 order by 1, 2;

-- name: headless
-- Whether the row is missing that appends lock.
select not exists (select from log.head);

-- name: unknown
-- How many of the newest events would be recorded again if they came again.
select count(*)
  from (select e.position, e.product_id, e.digest from log.events e order by e.position desc limit 100) as e
 where not exists (
       select from log.deliveries d
        where d.product_id = e.product_id
          and d.digest = e.digest
       );

-- name: partitions
-- How many positions are left before the next partition has to be made.
select h.partitioned_to - coalesce((select e.position from log.events e order by e.position desc limit 1), 0) as left
  from log.head h;
