-- Following the log: whose turn it is.

-- name: session
-- What tells this session from all others of its server, and of others.
select pid, backend_start
  from pg_stat_activity
 where pid = pg_backend_pid();

-- name: has_session
-- Whether the server that is there now has a session.
--   $1 pid  $2 backend_start
select exists (select 1 from pg_stat_activity where pid = $1 and backend_start = $2);

-- name: write_epoch
-- Taking over: from here on a step of the holder before cannot commit. Waits for one that is under way.
--   $1 epoch
update read_model.checkpoints
   set epoch = $1
 where epoch < $1;
