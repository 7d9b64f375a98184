-- Whether the demo's older board was shown already.

-- name: moved
--   $1 product_id
select exists (select from log.events where product_id = $1 and origin = 'WEBHOOK');
