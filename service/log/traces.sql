-- By what the traces of deliveries are named.

-- name: projected
-- The newest deliveries behind a position, up to another.
--   $1 first   the position behind which they begin
--   $2 last    the last one
--   $3 limit   the most to return
select position, digest
  from log.events
 where position > $1 and position <= $2 and origin = 'WEBHOOK'
 order by position desc
 limit $3;

-- name: sent
-- The deliveries among some positions.
--   $1 positions
select position, digest
  from log.events
 where position = any($1::bigint[]) and origin = 'WEBHOOK';
