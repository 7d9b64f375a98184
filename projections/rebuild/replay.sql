-- Counting one product again.

-- name: is_most
-- Whether a product has more events than so many, and than such a part of the log.
--   $1 product_id  $2 events  $3 part
select count(*) > greatest($2::bigint, $3::float8 * (select max(position) from log.events))
  from log.events
 where product_id = $1;

-- name: columns
-- The columns of a table that are written, as a list.
--   $1 table (by its own name)
select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
  from pg_catalog.pg_attribute a
 where a.attrelid = $1::text::regclass
   and a.attnum > 0
   and not a.attisdropped
   and a.attgenerated = '';

-- name: released
-- Whether a product was let go of, for another cell to have: nothing of it is counted.
--   $1 product_id
select exists (select from log.departures where product_id = $1 and released_at is not null);
