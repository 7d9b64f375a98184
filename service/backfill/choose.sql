-- Which products the log knows.

-- name: products
-- Every product of the log, by one index probe each.
with recursive found as (
    (select f.product_id from {event_facts} f order by f.product_id limit 1)
    union all
    select (select f.product_id from {event_facts} f where f.product_id > found.product_id order by f.product_id limit 1)
      from found
     where found.product_id is not null
)
select found.product_id from found where found.product_id is not null;
