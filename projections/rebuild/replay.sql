-- Counting one product or one item again in the tables in use.

-- name: tables_with
-- The tables of these that have all the columns named.
--   $1 tables (by their own names)  $2 columns
select t.table_name
  from unnest($1::text[]) as t (table_name)
 where (
       select count(*)
         from pg_catalog.pg_attribute a
        where a.attrelid = t.table_name::regclass
          and a.attname = any ($2::text[])
          and a.attnum > 0
          and not a.attisdropped
       ) = cardinality($2::text[]);

-- name: released
-- Whether a product was let go of, for another cell to have: nothing of it is counted.
--   $1 product_id
select exists (select from log.departures where product_id = $1 and released_at is not null);

-- name: of_others
-- Leave what is of one item, and of comments that do not say theirs what they were told of before; see
-- settle.comment_items of the events.
--   $1 item_id
delete from {hot} h
 where h.item_id is distinct from $1
   and (h.item_id is not null
        or h.entity <> 'comment'
        or $1 is distinct from (
           select v.item_id
             from {comment_versions} v
            where v.product_id = h.product_id
              and v.comment_id = h.entity_id
              and v.position < h.position
              and v.item_id is not null
            order by v.occurred_at desc, v.is_delete desc, v.updated_at desc, v.position desc
            limit 1
        ));
