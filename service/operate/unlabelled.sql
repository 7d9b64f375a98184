-- Which status and type keys the log has, and which products.

-- name: keys
-- Each such key that an item has or had, with how many have it now and the title of the one that moved last.
with said as (
    select 'status' as kind, c.status as key from {item_contents} c group by c.status
    union all
    select 'type', c.type from {item_contents} c group by c.type
),
     now as (
    select 'status' as kind, i.status as key, i.title, i.last_activity_at, i.item_id from {items} i where not i.deleted
    union all
    select 'type', i.type, i.title, i.last_activity_at, i.item_id from {items} i where not i.deleted
)
select s.kind, s.key, count(n.key)::int as items,
       (array_agg(n.title order by n.last_activity_at desc nulls last, n.item_id) filter (where n.title is not null))[1] as title
  from said s
  left join now n on n.kind = s.kind and n.key = s.key
 where s.key <> ''
 group by s.kind, s.key
 order by s.kind, items desc, s.key;

-- name: products
-- The products of the log, with how many items each has now and the title of the one that moved last.
select 'product' as kind, i.product_id::text as key, (count(*) filter (where not i.deleted))::int as items,
       (array_agg(i.title order by i.last_activity_at desc nulls last, i.item_id) filter (where i.title is not null))[1] as title
  from {items} i
 group by i.product_id
 order by items desc, i.product_id
