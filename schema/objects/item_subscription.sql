-- What subscriptions are read from as of a moment.

-- name: then
-- Where the newest event did not say since when, the newest one that did since they last began or stopped.
select known.product_id, known.item_id, known.subscriber, v.user_id, v.active,
       coalesce(v.since,
           (select o.since from {subscription_versions} as o
             where o.product_id = known.product_id and o.item_id = known.item_id and o.subscriber = known.subscriber
               and :known(o) and o.active = v.active and o.since is not null
               and not exists (
                   select 1 from {subscription_versions} as turned
                    where turned.product_id = known.product_id and turned.item_id = known.item_id
                      and turned.subscriber = known.subscriber and :known(turned) and turned.active <> v.active
                      and (:key(turned)) > (:key(o)))
             order by :key_desc(o) limit 1),
           v.occurred_at) as since,
       v.occurred_at, v.position
  from {subscriptions} as known
 cross join lateral (
       select o.user_id, o.active, o.since, o.occurred_at, o.position
         from {subscription_versions} as o
        where o.product_id = known.product_id and o.item_id = known.item_id and o.subscriber = known.subscriber
          and :known(o)
        order by :key_desc(o) limit 1
       ) as v
