-- The tables in use under names that stay, whichever generation they are of.

-- name: known
-- Whether a parent is there.
--   $1 parent
select exists (select from read_model.shown where parent = to_regclass($1));

-- name: add
-- A parent, whose child is shown once `show` says so.
--   $1 parent  $2 version  $3 table
insert into read_model.shown (parent, version, table_name)
values ($1::text::regclass, $2, $3);

-- name: is_child
--   $1 table  $2 parent
select exists (
    select from pg_catalog.pg_inherits
     where inhrelid = $1::text::regclass
       and inhparent = $2::text::regclass
);

-- name: older
-- The parents of other versions of the tables: views of another version of the service may read them still. None where
-- they read a table that there is no more: it would stay at the generation before.
--   $1 tables  $2 versions of today  $3 all tables of today
select parent::text, table_name
  from read_model.shown
 where table_name = any ($1::text[])
   and version <> all ($2::text[])
   and not exists (
       select
         from read_model.shown
        where version <> all ($2::text[])
          and table_name <> all ($3::text[])
       );

-- name: show
-- Which child of each parent is read from here on: one row a table, so a snapshot shows the old one or the new one.
--   $1 the new tables
update read_model.shown s
   set child = i.inhrelid
  from pg_catalog.pg_inherits i
 where i.inhparent = s.parent
   and i.inhrelid = any ($1::text[]::regclass[]);

-- name: complete
-- The versions whose tables are all shown.
select version
  from read_model.shown
 group by version
having bool_and(child is not null);

-- name: readers
-- The transactions that hold a parent: they may be about to read by a plan that knows of no new child.
select coalesce(array_agg(distinct l.virtualtransaction), '{}')
  from pg_catalog.pg_locks l
 where l.locktype = 'relation'
   and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
   and l.relation in (select parent from read_model.shown)
   and l.pid <> pg_backend_pid();

-- name: at_work
-- Whether one of these transactions goes on.
--   $1 transactions
select exists (select from pg_catalog.pg_locks where virtualtransaction = any ($1::text[]));

-- name: views_of_others
-- The views that other versions were shown by.
--   $1 versions of today
select c.oid::regclass::text as name
  from pg_catalog.pg_class c
 where c.relnamespace = 'read_model'::regnamespace
   and c.relkind = 'v'
   and c.relname ~ '^shown_[0-9a-f]{8}_'
   and split_part(c.relname, '_', 2) <> all ($1::text[]);

-- name: forget
--   $1 versions of today
delete from read_model.shown
 where version <> all ($1::text[]);

-- name: childless
-- Parents of other versions whose last child was dropped.
select c.oid::regclass::text as name
  from pg_catalog.pg_class c
 where c.relnamespace = 'read_model'::regnamespace
   and c.relkind = 'r'
   and c.relname ~ '^each_[0-9a-f]{8}_'
   and not exists (select from pg_catalog.pg_inherits where inhparent = c.oid)
   and not exists (select from read_model.shown where parent = c.oid);
