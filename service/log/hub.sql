-- The cheap reads by which the hub checks what notifications told it.

-- name: head
-- The newest position of the log; 0 while it is empty.
select coalesce((select position from log.events order by position desc limit 1), 0) as position;

-- name: projected
-- The position to which every built-in projection has got; 0 before the first step.
select coalesce(min(position), 0) as position
  from read_model.checkpoints
 where built_in;
