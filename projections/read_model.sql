-- Which tables are read, and how far they have got: looked up by every read in its own snapshot.

-- name: generations
select projection, built_in, generation, position, tables
  from read_model.checkpoints
 order by projection;
