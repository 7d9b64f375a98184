-- What live updates read: a page of the events that have been projected.

-- name: facts_after
-- What is known of the next events, oldest first; which subscribers they are for is decided on these columns.
--   $1 after   the position already read
--   $2 limit   the most to return
select position, product_id, action, type, entity, entity_id, item_id, user_id, comment_id, changelog_id,
       satisfaction_id, origin, occurred_at, occurred_assumed, recorded_at, changed_fields, erased
  from {event_facts}
 where position > $1
 order by position
 limit $2;

-- name: head
-- The newest position of the log; 0 while it is empty.
select coalesce((select position from log.events order by position desc limit 1), 0) as position;
