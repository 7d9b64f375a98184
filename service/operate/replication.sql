-- What `recount doctor` asks about replicas.

-- name: replicas
-- The replicas that stream from this server. What others' sessions do is null for a role without pg_read_all_stats.
select r.state, r.sync_state
  from pg_stat_replication r;

-- name: synchronous
-- Which replicas a commit waits for.
select current_setting('synchronous_standby_names');

-- name: stands_by
-- Why Postgres takes no writes, where it takes none: 'paused' is a recovery that waits at its target.
select case when not pg_is_in_recovery() then null
            when pg_get_wal_replay_pause_state() = 'paused' then 'paused'
            else 'standby' end as state;
