-- Declaring the read model.

-- name: lock
-- One process declares at a time.
lock table read_model.checkpoints in share row exclusive mode;

-- name: declared
select fingerprint
  from read_model.declared;

-- name: drop_functions
-- Functions of another version: `create or replace` refuses a changed result.
do $$
declare
    old regprocedure;
begin
    for old in
        select p.oid::regprocedure
          from pg_catalog.pg_proc p
          join pg_catalog.pg_namespace n on n.oid = p.pronamespace
         where n.nspname = 'read_model'
    loop
        -- One that went with another by the cascade has no name left.
        if exists (select from pg_catalog.pg_proc p where p.oid = old) then
            execute format('drop function if exists %s cascade', old);
        end if;
    end loop;
end
$$;

-- name: note_declared
--   $1 fingerprint
insert into read_model.declared (fingerprint)
values ($1)
    on conflict (only_row) do update
   set fingerprint = excluded.fingerprint;

-- name: add_checkpoint
--   $1 projection  $2 built_in  $3 fingerprint  $4 tables  $5 generation
insert into read_model.checkpoints (projection, built_in, generation, position, fingerprint, tables)
values ($1, $2, $5, 0, $3, $4);
