-- Comparing a table in use with the same table counted anew.

-- name: digest
-- How many rows, and a sum of their digests, which no order of rows changes. {table} is one of the two.
select count(*) as rows,
       coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint::numeric), 0)::text as digest
  from {table} t;

-- name: differences
-- The first rows that only one of the two has; `side` says which.
--   $1 limit
select 'in use' as side, d.line
  from (select to_jsonb(a)::text as line from {in_use} a
        except all
        select to_jsonb(b)::text from {anew} b
        order by line
        limit $1) d
union all
select 'anew', d.line
  from (select to_jsonb(b)::text as line from {anew} b
        except all
        select to_jsonb(a)::text from {in_use} a
        order by line
        limit $1) d;

-- name: erasures
-- How many erasures the log went through.
select count(*) from log.erasures;

-- name: erasures_under_way
-- Whether the log was redacted and the tables were not yet counted again.
select exists (select 1 from log.erasures where replayed_at is null);
