-- What votes are read from as of a moment.

-- name: then
select known.product_id, known.item_id, known.voter, v.user_id, v.value, v.withdrawn, v.cast_at, v.occurred_at, v.position
  from {votes} as known
 cross join lateral (
       select o.user_id, o.value, o.withdrawn, o.cast_at, o.occurred_at, o.position
         from {vote_versions} as o
        where o.product_id = known.product_id and o.item_id = known.item_id and o.voter = known.voter and :known(o)
        order by :key_desc(o) limit 1
       ) as v
