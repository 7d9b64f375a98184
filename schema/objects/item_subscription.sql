-- What subscriptions are read from as of a moment.

-- name: then
select known.product_id, known.item_id, known.subscriber, v.user_id, v.active, v.since, v.occurred_at, v.position
  from {subscriptions} as known
 cross join lateral (
       select o.user_id, o.active, o.since, o.occurred_at, o.position
         from {subscription_versions} as o
        where o.product_id = known.product_id and o.item_id = known.item_id and o.subscriber = known.subscriber
          and :known(o)
        order by :key_desc(o) limit 1
       ) as v
