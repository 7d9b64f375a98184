-- The products that other cells have, as a service follows them.

-- name: state
-- What changes whenever a product has left for good.
select count(*) as products, max(d.left_at) as newest_at
  from log.departures d
 where d.left_at is not null;

-- name: departed
-- The products that other cells answer for, and which.
select d.product_id, d.cell
  from log.departures d
 where d.left_at is not null;

-- name: departing
-- These, and those that are on their way: nothing is appended of them.
select d.product_id, d.cell
  from log.departures d;
