-- Questions about a whole board: what rises, what moved, how long things take. For the names see sources.sql.

-- name: gained
-- Net votes gained in a window, by Sleekplan's totals. Where nothing had been told before it, an item that was
-- submitted in it began at none, and an older one at what was told first.
coalesce((
    select newest.net - coalesce(
        (select c.votes_up - coalesce(c.votes_down, 0) from {item_counts} as c
          where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
            and c.votes_up is not null and c.occurred_at < :from order by :key_desc(c) limit 1),
        case when item.created_at >= :from then 0 else
        (select c.votes_up - coalesce(c.votes_down, 0) from {item_counts} as c
          where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
            and c.votes_up is not null order by :key_asc(c) limit 1) end)
      from (select c.votes_up - coalesce(c.votes_down, 0) as net from {item_counts} as c
             where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
               and c.votes_up is not null and c.occurred_at < :until order by :key_desc(c) limit 1) as newest), 0)
