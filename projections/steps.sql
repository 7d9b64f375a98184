-- The tables that steps write, by their own names.

-- name: there
-- Which of them there are, and what each is; views first, as they stand on tables.
--   $1 names
select t.name, case c.relkind when 'v' then 'view' else 'table' end as kind
  from unnest($1::text[]) as t (name)
  join pg_catalog.pg_class c on c.oid = to_regclass(t.name)
 order by c.relkind = 'v' desc;
