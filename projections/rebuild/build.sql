-- The tables that a rebuild or a comparison counts into, and what is known of them.

-- name: leftovers
-- Tables of a generation that no checkpoint reads and no rebuild builds: of a rebuild or verify that was killed. What its
-- steps staged has the step's number behind the generation's.
--   $1 a rebuild that is about to begin: what it left is of no use to it; or 0
select t.table_name
  from (
       select c.oid::regclass::text as table_name, c.relname,
              coalesce(
                  substring(c.relname from '^step_[a-z]+_([0-9]+)'), substring(c.relname from '[0-9]+$')
              )::int as generation
         from pg_catalog.pg_class c
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'read_model'
          and c.relkind in ('r', 'v')
          and c.relname ~ '_[0-9]+$'
       ) t
 where not exists (select 1 from read_model.checkpoints k where k.generation = t.generation)
   and not exists (
       select 1
         from read_model.rebuilds r
        where r.generation = t.generation
          and r.state = 'RUNNING'
          and r.rebuild <> $1
       )
   and not exists (
       select 1 from read_model.discarded d where d.table_name = 'read_model.' || t.relname
       );

-- name: set_if_allowed
-- A setting of this session that takes a privilege.
--   $1 name  $2 value
select set_config($1, $2, false)
 where has_parameter_privilege($1, 'set');

-- name: is_indexed
-- Whether a rebuild has made a projection's indexes: noted in their transaction.
--   $1 the projection's first table
select coalesce(obj_description(($1::text)::regclass, 'pg_class') in ('indexed', 'settled'), false);

-- name: is_settled
-- Whether a rebuild has run a projection's `settle` statements and made its lookups: noted in their transaction.
--   $1 the projection's first table
select obj_description(($1::text)::regclass, 'pg_class') is not distinct from 'settled';

-- name: size
-- How large a projection's tables are, without their indexes.
--   $1 tables
select sum(pg_table_size(t.table_name::regclass))::bigint
  from unnest($1::text[]) as t (table_name);
