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
