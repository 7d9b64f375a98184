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

-- `log` is permanent; `read_model` is counted from it, and made anew by each rebuild. Nothing outside them is
-- read or written, and nothing is to be made beside them.
create schema if not exists log;
create schema if not exists read_model;
grant usage, create on schema log, read_model to {role};

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
         where c.relnamespace in ('log'::regnamespace, 'read_model'::regnamespace)
           and c.relkind in ('r', 'p', 'c', 'v', 'm')
           and pg_get_userbyid(c.relowner) <> {role_text}
        union all
        select 'routine', p.oid::regprocedure::text
          from pg_catalog.pg_proc p
         where p.pronamespace in ('log'::regnamespace, 'read_model'::regnamespace)
           and pg_get_userbyid(p.proowner) <> {role_text}
    loop
        execute format('alter %s %s owner to %I', made.kind, made.name, {role_text});
    end loop;
end
$$;

commit;
