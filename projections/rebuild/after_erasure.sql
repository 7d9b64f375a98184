-- Leaving nothing of a product in tables that are read no longer.

-- name: kept_for_readers
-- Tables that were switched away from and could not be dropped yet.
select d.table_name
  from read_model.discarded d
  join pg_catalog.pg_class c on c.oid = to_regclass(d.table_name)
 where c.relkind = 'r'
   and exists (
       select
         from pg_catalog.pg_attribute a
        where a.attrelid = c.oid
          and a.attname = 'product_id'
          and not a.attisdropped
       );
