-- What votes are read from as of a moment.

-- name: then
-- What the newest event did not say holds from the newest one that did. Where none said when the vote was cast, it was
-- when the newest event happened that did not take it back.
select known.product_id, known.item_id, known.voter, known.user_id, :direction as value, v.withdrawn,
       coalesce(v.cast_at,
           (select said.cast_at from {vote_versions} as said
             where said.product_id = known.product_id and said.item_id = known.item_id and said.voter = known.voter
               and :known(said) and said.cast_at is not null
             order by :key_desc(said) limit 1),
           case when v.withdrawn then (
               select stood.occurred_at from {vote_versions} as stood
                where stood.product_id = known.product_id and stood.item_id = known.item_id and stood.voter = known.voter
                  and :known(stood) and not stood.withdrawn
                order by :key_desc(stood) limit 1) end,
           v.occurred_at) as cast_at,
       v.occurred_at, v.position
  from {votes} as known
 cross join lateral (
       select o.product_id, o.item_id, o.voter, o.occurred_at, o.is_delete, o.updated_at, o.position,
              o.value, o.withdrawn, o.cast_at
         from {vote_versions} as o
        where o.product_id = known.product_id and o.item_id = known.item_id and o.voter = known.voter and :known(o)
        order by :key_desc(o) limit 1
       ) as v

-- name: direction
-- The direction that a vote had once an event had told of it: what that one said, or else the newest before it that did.
coalesce(:row.value, (
    select said.value from {vote_versions} as said
     where said.product_id = :row.product_id and said.item_id = :row.item_id and said.voter = :row.voter
       and :known(said) and said.value is not null
       and (:key(said)) < (:key(:row))
     order by :key_desc(said) limit 1))
