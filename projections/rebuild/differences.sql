-- Comparing the rows of a product in a table in use with those counted anew.

-- name: key
-- The columns that tell a table's rows apart: of its shortest unique index, else all of them.
--   $1 table (by its own name)
select coalesce(
    (select array_agg(a.attname::text order by a.attnum)
       from (select i.indrelid, i.indkey
               from pg_catalog.pg_index i
              where i.indrelid = $1::text::regclass and i.indisunique and i.indpred is null and i.indexprs is null
              order by i.indisprimary desc, i.indnkeyatts, i.indexrelid
              limit 1) k
       join pg_catalog.pg_attribute a on a.attrelid = k.indrelid and a.attnum = any (k.indkey::int2[])),
    (select array_agg(a.attname::text order by a.attnum)
       from pg_catalog.pg_attribute a
      where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped)
);

-- name: rows
-- The rows of a product that only one of the two has. Of a projection of one's own that reads the log itself, every
-- product was counted anew.
--   {which}  the product's in the table in use; $1 product_id
select true as in_use, d.line::text as line
  from (select to_jsonb(a) as line from {in_use} a where {which}
        except
        select to_jsonb(b) from {anew} b where b.product_id = $1) d
union all
select false, d.line::text
  from (select to_jsonb(b) as line from {anew} b where b.product_id = $1
        except
        select to_jsonb(a) from {in_use} a where {which}) d;
