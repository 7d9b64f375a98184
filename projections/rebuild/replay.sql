-- Counting one product again.

-- name: is_most
-- Whether a product has more events than so many, and than such a part of the log.
--   $1 product_id  $2 events  $3 part
select count(*) > greatest($2::bigint, $3::float8 * (select max(position) from log.events))
  from log.events
 where product_id = $1;

-- name: columns
-- The columns of a table that are written.
--   $1 table (by its own name)
select array_agg(a.attname::text order by a.attnum)
  from pg_catalog.pg_attribute a
 where a.attrelid = $1::text::regclass
   and a.attnum > 0
   and not a.attisdropped
   and a.attgenerated = '';

-- name: released
-- Whether a product was let go of, for another cell to have: nothing of it is counted.
--   $1 product_id
select exists (select from log.departures where product_id = $1 and released_at is not null);

-- name: found_by
-- By which column the rows of a product are found in a table: the one that an index of all its rows starts with, the
-- product if there is such a one.
--   $1 table (by its own name)
select a.attname::text
  from pg_catalog.pg_index i
  join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
 where i.indrelid = $1::text::regclass
   and i.indpred is null
   and a.attname in ('product_id', 'item_id', 'user_id')
 order by a.attname = 'product_id' desc, a.attname
 limit 1;

-- name: key
-- The columns that tell a table's rows apart: of its shortest unique index.
--   $1 table (by its own name)
select array_agg(a.attname::text order by a.attnum)
  from (select i.indrelid, i.indkey
          from pg_catalog.pg_index i
         where i.indrelid = $1::text::regclass and i.indisunique and i.indpred is null and i.indexprs is null
         order by i.indisprimary desc, i.indnkeyatts, i.indexrelid
         limit 1) k
  join pg_catalog.pg_attribute a on a.attrelid = k.indrelid and a.attnum = any (k.indkey::int2[]);
