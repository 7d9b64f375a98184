-- The tables that steps write and the functions that they are, by their own names.

-- name: there
-- Which of them there are, and what each is; views first, as they stand on tables.
--   $1 names
select t.name, case c.relkind when 'v' then 'view' else 'table' end as kind
  from unnest($1::text[]) as t (name)
  join pg_catalog.pg_class c on c.oid = to_regclass(t.name)
 order by c.relkind = 'v' desc;

-- name: declared
-- Whether there is a function, for this connection.
--   $1 its name, with the types of its arguments
select to_regprocedure($1) is not null;

-- name: counted
-- Which events `e` are counted: those of products that were not let go of for another cell to have. Asked once a step:
-- only where one was is each event held against it.
(not exists (select 1 from log.departures d where d.released_at is not null)
 or not exists (select 1 from log.departures d where d.released_at is not null and d.product_id = e.product_id))
