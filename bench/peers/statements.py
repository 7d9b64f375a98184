"""The board's statements, for the peers that write their own SQL: one a question, as lean as ours.

They read copies of the read model's tables under plain names, in the schema `plain`, with the same rows and
indexes. Column names are those of GraphQL, so that rows need no renaming.
"""

from __future__ import annotations

PRODUCT = 647288130

ITEMS = """
select i.item_id as "sleekplanId", i.title, i.type, i.trend, i.scoring, i.effort,
       i.comments as "commentCount", i.subscribers as "subscriberCount", i.created_at as "createdAt",
       i.updated_at as "updatedAt"
  from plain.items i
 where i.product_id = $1 and not i.deleted
 order by i.votes_net desc nulls last, i.item_id
 limit $2
"""

ITEMS_WITH_VOTES = """
select i.item_id as "sleekplanId", v.product_id as "productId", v.value, v.cast_at as "castAt", v.withdrawn,
       v.position as "at"
  from (select product_id, item_id, votes_net
          from plain.items
         where product_id = $1 and not deleted
         order by votes_net desc nulls last, item_id
         limit $2) i
  left join lateral (
       select product_id, value, cast_at, withdrawn, position, voter
         from plain.votes
        where product_id = i.product_id and item_id = i.item_id and not withdrawn
        order by cast_at desc, voter
        limit $3) v on true
 order by i.votes_net desc nulls last, i.item_id, v.cast_at desc, v.voter
"""

ITEM_WITH_TIMELINE = """
select i.item_id as "sleekplanId", i.title, i.votes_net, e.position, e.type, e.action,
       e.occurred_at as "occurredAt", e.recorded_at as "recordedAt", u.user_id, u.name as user_name
  from plain.items i
  left join lateral (
       select position, type, action, occurred_at, recorded_at, product_id, user_id
         from plain.events
        where product_id = i.product_id and item_id = i.item_id
        order by position
        limit $3) e on true
  left join plain.users u on u.product_id = e.product_id and u.user_id = e.user_id
 where i.product_id = $1 and i.item_id = $2
 order by e.position
"""

EVENTS = """
select e.position, e.type, e.action, e.entity, e.occurred_at as "occurredAt", e.recorded_at as "recordedAt",
       i.item_id, i.title as item_title, u.user_id, u.name as user_name
  from plain.events e
  left join plain.items i on i.product_id = e.product_id and i.item_id = e.item_id
  left join plain.users u on u.product_id = e.product_id and u.user_id = e.user_id
 where e.product_id = $1
 order by e.position
 limit $2
"""
