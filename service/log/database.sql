-- What migrating asks and notes.

-- name: suitable
-- What decides whether a database can hold the log at all.
select current_setting('server_version_num')::integer as version,
       current_setting('server_encoding') as encoding;

-- name: make_migrations
-- The list of migrations that ran, before the first of them.
create schema if not exists log;
create table if not exists log.migrations (
    name      text        primary key,
    checksum  text        not null,
    ran_at    timestamptz not null default clock_timestamp()
);

-- name: migrations_exist
-- Whether anything was ever migrated here.
select to_regclass('log.migrations') is not null;

-- name: lock_migrations
-- One at a time: whoever waits here finds the migration done.
lock table log.migrations in access exclusive mode;

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
