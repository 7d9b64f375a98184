-- Reading the read model: which tables hold it, and at which position.

-- name: generations
select projection, built_in, generation, position, tables
  from read_model.checkpoints
 order by projection;

-- name: read
-- A statement, with the generations and the position that its own snapshot sees; one row at the least.
--   {statement}   the statement, its tables filled in
select s._version, s._position, a.*
  from (
       select string_agg(c.generation::text, ',' order by c.projection) as _version,
              coalesce(min(c.position) filter (where c.built_in), 0) as _position
         from read_model.checkpoints c
       ) s
  left join (select true as _row, q.* from ({statement}) q) a on true;
