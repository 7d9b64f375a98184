-- What was listed against what is projected, both read by the projections' own rules: what a row says is what an
-- event with that row as its data would say. Each gives a row for each that was listed, by its place.

-- name: posts
-- Of each post: whether its item is known, and by an event that created it; which fields and totals are projected
-- otherwise; whether something newer was told; whether its author was erased. Not compared is what changes by itself
-- (trend, scoring, ratio).
--   $1 product_id
--   $2 rows  a JSON list of posts
select l.place::int - 1 as place,
       i.item_id is not null as known,
       exists (select
                 from {item_lifecycles} c
                where c.product_id = $1
                  and c.item_id = i.item_id
                  and c.action = 'create') as born,
       coalesce(i.deleted, false) as deleted,
       array(select c.key
               from jsonb_each(to_jsonb(p)) c
              where c.value <> 'null'
                and s.state ? c.key
                and s.state -> c.key <> c.value
              order by 1) as fields,
       (i.votes_up, i.votes_down, i.comments, i.subscribers)
           is distinct from (read_model.int_of(l.row ->> 'total_up'), read_model.int_of(l.row ->> 'total_down'),
                             read_model.int_of(l.row ->> 'total_comments'), read_model.int_of(l.row ->> 'total_subscriber'))
           as totals,
       coalesce(i.updated_at > read_model.moment_of(l.row ->> 'updated'), false) as older,
       coalesce(u.erased, false) as erased,
       i.updated_at as last_told
  from jsonb_array_elements($2::jsonb) with ordinality as l (row, place)
 cross join lateral read_model.post_content('item', l.row) p
  left join {items} i
    on i.product_id = $1
   and i.item_id = coalesce(read_model.id_of(l.row ->> 'feedback_id'), read_model.id_of(l.row ->> 'id'))
  left join lateral (select to_jsonb(i) as state) s on i.item_id is not null
  left join {users} u on u.product_id = $1 and u.user_id = p.author_id
 order by l.place;

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
