-- What every session is set to, and what migrating asks and notes.

-- name: pin_session
-- Set what order, answers and safety rest on, whatever `alter database` or `alter role … set` says. Sent once
-- connected, for as start-up parameters a pooler refuses those that it does not know; one by one, since that takes
-- a third of the time of a statement with set_config. Memory, costs of plans and parallelism are left as found.
set statement_timeout = 0; -- the first: the others must not run under another
set transaction isolation level read committed; -- nor these wait for a snapshot that may be deferred
-- log.append relies on it: under any other it would not see what was recorded before its turn came.
set default_transaction_isolation = 'read committed';
set default_transaction_read_only = off;
set default_transaction_deferrable = off;
-- A commit that is answered before it is on the disk can be lost: promise 1.
set synchronous_commit = on;
-- We have limits of our own, and else wait for as long as it takes.
set lock_timeout = 0;
set idle_session_timeout = 0;
-- What a stopped process holds must not outlive it: its locks would stop every append.
set idle_in_transaction_session_timeout = '10s';
set tcp_user_timeout = '10s';
set tcp_keepalives_idle = 10;
set tcp_keepalives_interval = 3;
set tcp_keepalives_count = 3;
-- How values are read and written as text.
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set intervalstyle = 'postgres';
set extra_float_digits = 1;
set bytea_output = 'hex';
set lc_numeric = 'C';
set lc_time = 'C';
set standard_conforming_strings = on;
set backslash_quote = 'safe_encoding';
set array_nulls = on;
set quote_all_identifiers = off;
set transform_null_equals = off;
set default_text_search_config = 'pg_catalog.simple';
set client_min_messages = 'warning';
-- What names mean, and where new tables go.
set search_path = public;
set default_tablespace = '';
set default_table_access_method = 'heap';
-- Rows that a policy would hide are an error: an answer without them would be wrong.
set row_security = off;
-- Above 0, a search leaves out some of what it finds.
set gin_fuzzy_search_limit = 0;
-- An error that a function expects must not end the session.
set exit_on_error = off;
-- Plans. The estimates behind just-in-time compilation are made for long reports; here it only costs.
set jit = off;
set plan_cache_mode = 'auto';
set geqo = on;
set from_collapse_limit = 8;
set join_collapse_limit = 8;
set constraint_exclusion = 'partition';
set enable_async_append = on;
set enable_bitmapscan = on;
set enable_gathermerge = on;
set enable_hashagg = on;
set enable_hashjoin = on;
set enable_incremental_sort = on;
set enable_indexonlyscan = on;
set enable_indexscan = on;
set enable_material = on;
set enable_memoize = on;
set enable_mergejoin = on;
set enable_nestloop = on;
set enable_parallel_append = on;
set enable_parallel_hash = on;
set enable_partition_pruning = on;
set enable_partitionwise_aggregate = off;
set enable_partitionwise_join = off;
set enable_seqscan = on;
set enable_sort = on;
set enable_tidscan = on;
-- Those that not every version of Postgres has, that cost a file to read, and that only some roles may set: triggers
-- are switched off by the last, and with them what the log refuses.
select pg_catalog.set_config(p.name, p.value, false)
  from (values ('transaction_timeout', '0'),
               ('restrict_nonsystem_relation_kind', ''),
               ('enable_presorted_aggregate', 'on'),
               ('plpgsql.extra_errors', 'none'),
               ('timezone_abbreviations', 'Default'),
               ('session_replication_role', 'origin')) as p (name, value)
 where pg_catalog.current_setting(p.name, true) <> p.value
   and (p.name <> 'session_replication_role' or pg_catalog.has_parameter_privilege(p.name, 'set'));

-- name: reset_session
-- Take back what a use of a pool's connection left behind, before it is pinned anew. Nothing that takes a snapshot,
-- as `close all` does: after one, the level of the transaction could not be set.
unlisten *;
reset all;

-- name: session
-- Which of the server's processes answers here.
select pg_backend_pid();

-- name: suitable
-- What decides whether a database can hold the log at all.
select current_setting('server_version_num')::integer as version,
       current_setting('server_encoding') as encoding,
       current_setting('session_replication_role') as triggers;

-- name: make_migrations
-- The list of migrations that ran, before the first of them. The schema may have been made for us: `if not exists`
-- would want the right to make schemas all the same.
do $$
begin
    if to_regnamespace('log') is null then
        create schema log;
    end if;
end
$$;
create table if not exists log.migrations (
    name      text        primary key,
    checksum  text        not null,
    ran_at    timestamptz not null default clock_timestamp()
);

-- name: migrations_exist
-- Whether anything was ever migrated here.
select to_regclass('log.migrations') is not null;

-- name: lock_migrations
-- One at a time: whoever waits here finds the migration done. A pg_dump, which reads it for hours, is no hindrance.
lock table log.migrations in share row exclusive mode;

-- name: wait_briefly
-- What waits for a lock has everybody behind it wait as well, every append among them.
set local lock_timeout = '500ms';

-- name: migrations_done
-- What ran, and what it read like.
select name, checksum
  from log.migrations
 order by name;

-- name: note_migration
-- Note that a migration ran, in its own transaction.
--   $1 name
--   $2 checksum  of its text
insert into log.migrations (name, checksum) values ($1, $2);
