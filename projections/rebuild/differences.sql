-- Comparing the rows of a product in a table in use with those counted anew.

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
