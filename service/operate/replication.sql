-- What `recount doctor` asks about replicas.

-- name: replicas
-- The replicas that stream from this server. What others' sessions do is null for a role without pg_read_all_stats.
select r.state, r.sync_state
  from pg_stat_replication r;

-- name: synchronous
-- Which replicas a commit waits for.
select current_setting('synchronous_standby_names');
