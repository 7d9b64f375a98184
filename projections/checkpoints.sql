-- How far each projection has got, and which generation of its tables is read.

-- name: checkpoints
select projection, built_in, generation, position, fingerprint, tables
  from read_model.checkpoints
 order by projection;

-- name: lock
-- The checkpoints of some projections, locked: no projector moves them until we have committed.
--   $1 projections
select projection, built_in, generation, position, tables
  from read_model.checkpoints
 where projection = any ($1::text[])
 order by projection
   for update;

-- name: tell
-- Wake whoever waits for a position to be projected, once this is committed.
--   $1 position
select pg_notify('recount_projected', $1::bigint::text);

-- name: projected
-- The position to which all built-in projections have got.
select coalesce(min(position), 0)
  from read_model.checkpoints
 where built_in;

-- name: head
select coalesce((select position from log.events order by position desc limit 1), 0);

-- name: next_generation
-- A number that no table's name carries yet.
select 1 + greatest(
           (select max(generation) from read_model.checkpoints),
           (select max(generation) from read_model.rebuilds),
           0
       );
