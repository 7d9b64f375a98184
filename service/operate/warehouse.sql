-- Rows of the views of the schema `board`, for `recount export --format`. All their columns: a view that gets another
-- one gives it here too, and each statement is prepared for one export alone.

-- name: read_at
-- The position up to which the views are counted, in this transaction.
select position
  from board.read_at;

-- name: view
--   {view}  $1 product_id  null for every product
select each.*
  from board.{view} as each
 where $1::bigint is null or each.product_id = $1;

-- name: events
-- In the order of the log.
--   {view}  $1 product_id  null for every product  $2 after
select each.*
  from board.{view} as each
 where ($1::bigint is null or each.product_id = $1)
   and each.position > $2
 order by each.position;

-- name: items_at
--   $1 product_id  null for every product  $2 position
select each.*
  from board.items_at($2) as each
 where $1::bigint is null or each.product_id = $1;

-- name: items_as_of
--   $1 product_id  null for every product  $2 time  $3 clock
select each.*
  from board.items_as_of($2, $3) as each
 where $1::bigint is null or each.product_id = $1;
