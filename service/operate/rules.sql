-- What `recount doctor` asks about reactions.

-- name: reactions
-- The rules of RECOUNT_REACTIONS that the file has, and what is the matter with them.
select name, state, problem, failing_since is not null as fails
  from log.reactions
 where in_file
 order by name;
