-- What an administrator of the database runs, so that a role can do its work there and nothing else.

-- name: service
-- Recount's own role, {role}: the least that it needs. Run this in the database that is to hold the log, as
-- somebody who may make roles and schemas there, as often as you like:
--
--     recount sql grants | psql 'postgresql://admin@db.example.com/recount'
--
-- Then give it a password (in psql: \password {role}) and use it in RECOUNT_DATABASE_URL.

begin;

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = {role_text}) then
        create role {role} login;
    end if;
    -- Counting stages what it reads in temporary tables.
    execute format('grant connect, temporary on database %I to %I', current_database(), {role_text});
end
$$;

-- `log` is permanent; `read_model` is counted from it, and made anew by each rebuild; `board` holds views of it, for
-- whoever asks in SQL. Nothing outside them is read or written, and nothing is to be made beside them.
create schema if not exists log;
create schema if not exists read_model;
create schema if not exists board;
grant usage, create on schema log, read_model, board to {role};

-- What another role made there before, by running Recount or by restoring a dump, is handed over: new partitions
-- of the log and new versions of the tables can only be made by their owner.
do $$
declare
    made record;
begin
    for made in
        select case c.relkind when 'c' then 'type' when 'v' then 'view' when 'm' then 'materialized view' else 'table' end as kind,
               c.oid::regclass::text as name
          from pg_catalog.pg_class c
         where c.relnamespace in ('log'::regnamespace, 'read_model'::regnamespace, 'board'::regnamespace)
           and c.relkind in ('r', 'p', 'c', 'v', 'm')
           and pg_get_userbyid(c.relowner) <> {role_text}
        union all
        select 'type', t.oid::regtype::text
          from pg_catalog.pg_type t
         where t.typnamespace = 'board'::regnamespace
           and t.typtype = 'e'
           and pg_get_userbyid(t.typowner) <> {role_text}
        union all
        select 'routine', p.oid::regprocedure::text
          from pg_catalog.pg_proc p
         where p.pronamespace in ('log'::regnamespace, 'read_model'::regnamespace, 'board'::regnamespace)
           and pg_get_userbyid(p.proowner) <> {role_text}
    loop
        execute format('alter %s %s owner to %I', made.kind, made.name, {role_text});
    end loop;
end
$$;

commit;

-- name: role
-- The role {role}, which reads the board of {whose}{told} in SQL, and nothing else. Run this as somebody who may make
-- roles and schemas there, as often as you like: after an upgrade it brings what was added.
--
--     recount sql grants {role} | psql 'postgresql://admin@db.example.com/recount'
--
-- Then give it a password (in psql: \password {role}).

begin;

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = {role_text}) then
        create role {role} login;
    end if;
    execute format('grant connect on database %I to %I', current_database(), {role_text});
    -- What it had before is taken first, in every schema of views.
    execute coalesce((
        select string_agg(
                   format('revoke all on all tables in schema %1$I from {role}; '
                       || 'revoke all on all routines in schema %1$I from {role}; '
                       || 'revoke all on schema %1$I from {role};', n.nspname), ' ')
          from pg_catalog.pg_namespace n
         where n.nspname ~ '^board(_[0-9]+)?$'
    ), '');
end
$$;

-- It asks; what it would change is refused, whatever else it may come to be granted.
alter role {role} set default_transaction_read_only = on;
alter role {role} set search_path = {schema};

-- name: product
-- Views of product {product} alone, which belong to whom those of all products belong to.
create schema if not exists {schema};

do $$
declare
    owner name := (select pg_get_userbyid(nspowner) from pg_catalog.pg_namespace where nspname = 'board');
    made record;
begin
    for made in
        select c.oid, c.relname, obj_description(c.oid, 'pg_class') as told,
               exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname = 'product_id') as of_product
          from pg_catalog.pg_class c
         where c.relnamespace = 'board'::regnamespace
           and c.relkind = 'v'
           and ({personal} or c.relname not like '%\_personal')
    loop
        execute format('create or replace view {schema}.%I with (security_barrier) as select * from board.%I%s',
                       made.relname, made.relname, case when made.of_product then ' where product_id = {product}' else '' end);
        execute format('comment on view {schema}.%I is %L', made.relname, made.told);
        execute coalesce((
            select string_agg(format('comment on column {schema}.%I.%I is %L;', made.relname, a.attname,
                                     col_description(made.oid, a.attnum)), ' ')
              from pg_catalog.pg_attribute a
             where a.attrelid = made.oid
               and a.attnum > 0
               and not a.attisdropped), '');
        execute format('alter view {schema}.%I owner to %I', made.relname, owner);
    end loop;
    create or replace function {schema}.items_as_of("time" timestamptz, clock board.clock default 'OCCURRED')
    returns setof board.items
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select i.* from board.items_as_of($1, $2) i where i.product_id = {product}';
    create or replace function {schema}.items_at("position" bigint)
    returns setof board.items
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select i.* from board.items_at($1) i where i.product_id = {product}';
    revoke execute on function {functions} from public;
    execute format('alter function {schema}.items_as_of(timestamptz, board.clock) owner to %I', owner);
    execute format('alter function {schema}.items_at(bigint) owner to %I', owner);
end
$$;

-- name: reader
-- What it may read.
grant usage on schema {schema} to {role};
grant select on {views} to {role};
grant execute on function {functions} to {role};

commit;
