-- What items are read from, now and as of a moment, and what is computed of one.

-- name: then
-- The items that had been heard of.
select known.product_id, known.item_id :columns
  from :rows as known
:joins
 where :heard_of

-- name: heard_of
-- That it had been seen by then follows from the last of these, and spares many the look at it.
known.first_position <= :p and known.first_seen_at <= :t
   and exists (select 1 from {item_sightings} as seen
                where seen.product_id = known.product_id and seen.item_id = known.item_id and :known(seen))

-- name: counts
  left join lateral (
       select c.complete, c.updated_at, :said
         from {item_counts} as c
        where c.product_id = known.product_id and c.item_id = known.item_id and :newest(c)
        order by :newest_first(c)
        limit 1
       ) as counts on true

-- name: count_of
-- What the newest post did not say holds from the newest one that did.
coalesce(counts.:column, case when not counts.complete then (
    select o.:column from {item_counts} as o
     where o.product_id = known.product_id and o.item_id = known.item_id and :known(o) and o.:column is not null
     order by :key_desc(o) limit 1) end)

-- name: search_of
-- Of texts that are the same still, what is kept of them; others are parsed anew, as nothing is kept of the past.
case when (:title) is not distinct from known.title and (:description) is not distinct from known.description then coalesce(known.search, '')
     else setweight(to_tsvector('simple', read_model.searched(coalesce(:title, ''))), 'A')
         || setweight(to_tsvector('simple', read_model.searched(left(coalesce(:description, ''), 100000))), 'B') end

-- name: updated_at
coalesce(nullif(counts.updated_at, '-infinity'), case when not counts.complete then (
    select o.updated_at from {item_counts} as o
     where o.product_id = known.product_id and o.item_id = known.item_id and :known(o) and o.updated_at > '-infinity'
     order by :key_desc(o) limit 1) end)

-- name: content
  left join lateral (
       select c.complete, :said
         from {item_contents} as c
        where c.product_id = known.product_id and c.item_id = known.item_id and :newest(c)
        order by :newest_first(c)
        limit 1
       ) as content on true

-- name: content_of
coalesce(content.:column, case when not content.complete then (
    select o.:column from {item_contents} as o
     where o.product_id = known.product_id and o.item_id = known.item_id and :known(o) and o.:column is not null
     order by :key_desc(o) limit 1) end)

-- name: merged_from
select other.product_id, other.item_id
  from :items(merged_into) as other
 where other.product_id = item.product_id and other.merged_into = item.item_id
 order by other.item_id
 limit 500

-- name: tags_of
-- Whole posts leave them out as well, so that a complete one says nothing of older tags; nor of owner and the like.
(select o.:column from {item_contents} as o
  where o.product_id = known.product_id and o.item_id = known.item_id and :known(o) and o.:column is not null
  order by :key_desc(o) limit 1)

-- name: life
-- A deletion that nothing has undone since. They are few, so all are found at once for a list.
  left join (
       select gone.product_id, gone.item_id, gone.occurred_at
         from (select distinct on (d.product_id, d.item_id)
                      d.product_id, d.item_id, d.occurred_at, d.is_delete, d.updated_at, d.position
                 from {item_lifecycles} as d
                where d.is_delete and :known(d)
                order by d.product_id, d.item_id, :key_desc(d)) as gone
        where not exists (
              select 1 from {item_lifecycles} as l
               where l.product_id = gone.product_id and l.item_id = gone.item_id and :known(l)
                 and (:key(l)) > (:key(gone)))
       ) as life on life.product_id = known.product_id and life.item_id = known.item_id

-- name: life_of_few
-- The same of one row, where few are looked at: of all deletions it would take as long as the log has told.
  left join lateral (
       select gone.item_id, gone.occurred_at
         from (select d.item_id, d.occurred_at, d.is_delete, d.updated_at, d.position
                 from {item_lifecycles} as d
                where d.product_id = known.product_id and d.item_id = known.item_id and d.is_delete and :known(d)
                order by :key_desc(d)
                limit 1) as gone
        where not exists (
              select 1 from {item_lifecycles} as l
               where l.product_id = known.product_id and l.item_id = known.item_id and :known(l)
                 and (:key(l)) > (:key(gone)))
       ) as life on true

-- name: since
-- The first row that says the status of then, after the last that says another.
  left join lateral (
       select entered.occurred_at
         from (select status_of.status from {item_contents} as status_of
                where status_of.product_id = known.product_id and status_of.item_id = known.item_id
                  and :known(status_of) and status_of.status is not null
                order by :key_desc(status_of) limit 1) as present
        cross join lateral (
              select e.occurred_at from {item_contents} as e
               where e.product_id = known.product_id and e.item_id = known.item_id and :known(e)
                 and e.status = present.status
                 and not exists (
                     select 1 from {item_contents} as other
                      where other.product_id = known.product_id and other.item_id = known.item_id and :known(other)
                        and other.status <> present.status
                        and (:key(other)) > (:key(e)))
               order by :key(e) limit 1) as entered
       ) as since on true

-- name: first_seen_at
(select min(seen.occurred_at) from {item_sightings} as seen
  where seen.product_id = known.product_id and seen.item_id = known.item_id and :known(seen))

-- name: facts
  left join lateral (
       select max(f.occurred_at) filter (where f.type <> 'SNAPSHOT') as last_activity_at, max(f.position) as position, count(*)::int as events
         from {event_facts} as f
        where f.product_id = known.product_id and f.item_id = known.item_id and :known(f)
       ) as facts on true

-- name: visible_events
-- What the events come to that the caller sees: without private notes, where there are or were some.
case when noted then (
    select :total from {event_facts} as f where f.product_id = known.product_id and f.item_id = known.item_id)
else known.:column end

-- name: known_votes
  left join lateral (
       select count(*) filter (where v.value = -1)::int as down, count(*) filter (where v.value is distinct from -1)::int as up
         from (select :direction as value
                 from (select distinct on (o.voter) o.product_id, o.item_id, o.voter, o.occurred_at, o.is_delete, o.updated_at,
                              o.position, o.value, o.withdrawn
                         from {vote_versions} as o
                        where o.product_id = known.product_id and o.item_id = known.item_id and :known(o)
                        order by o.voter, :key_desc(o)) as newest
                where not newest.withdrawn) as v
       ) as known_votes on true

-- name: matches
-- An item and its comments are searched as one: each term may be found in another of their texts, a negated one in none.
(item.product_id, item.item_id) in (
    select found.product_id, found.item_id
      from read_model.search_terms(:words) as t
     cross join lateral (
           select i.product_id, i.item_id from {items} as i where i.search @@ t.term and :visible(i)
            union
           select c.product_id, c.item_id from {comments} as c where c.search @@ t.term and not c.deleted and :visible(c)
            union
           select i.product_id, i.item_id from {items} as i where t.term is null and :visible(i)
           ) as found
     group by t.alternative, t.wanted, found.product_id, found.item_id
    having count(*) filter (where not t.negated) = t.wanted and not bool_or(t.negated))

-- name: matches_then
-- The same item by item, as nothing is indexed of a past moment; in comments each term is looked for once.
exists (
    select from read_model.search_terms(:words) as t
     group by t.alternative
    having bool_and((
               t.term is null
               or item.search @@ t.term
               or (item.product_id, item.item_id, t.place) in (
                   select found.product_id, found.item_id, s.place
                     from read_model.search_terms(:words) as s
                     join :comments(item_id, search, deleted) as found on found.search @@ s.term
                    where not found.deleted and :visible(found))
           ) <> t.negated))

-- name: relevance
-- An item that only comments name has no text of its own.
coalesce(ts_rank(coalesce(item.search, ''), (select read_model.search_any(:words)))::float8 + coalesce((
    select max(ts_rank(found.search, (select read_model.search_any(:words)))) / 4 from {comments} as found
     where found.product_id = item.product_id and found.item_id = item.item_id
       and found.search @@ (select read_model.search_any(:words)) and not found.deleted), 0), 0)

-- name: relevance_then
-- The same of a past moment: the pages that follow are read as of the first one, and go on in its order.
coalesce(ts_rank(item.search, (select read_model.search_any(:words)))::float8 + coalesce((
    select best.rank from :once as best
     where best.product_id = item.product_id and best.item_id = item.item_id), 0), 0)

-- name: best_comments_then
-- How well the comments of items match, looked through once for all: of a past moment no index says whose they are.
select found.product_id, found.item_id, max(ts_rank(found.search, (select read_model.search_any(:words)))) / 4 as rank
  from :comments(item_id, search, deleted) as found
 where found.search @@ (select read_model.search_any(:words)) and not found.deleted and :visible(found)
 group by found.product_id, found.item_id

-- name: gained
-- Net votes gained in a window, by Sleekplan's totals. Where nothing had been told before it, an item that was
-- submitted in it began at none, and an older one at what was told first.
coalesce((
    select case when newest.occurred_at < :from then 0 else newest.net - coalesce(
        (select :net(c) from {item_counts} as c
          where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
            and :net(c) is not null and c.occurred_at < :from order by :key_desc(c) limit 1),
        case when item.created_at >= :from then 0 else
        (select :net(c) from {item_counts} as c
          where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
            and :net(c) is not null order by :key(c) limit 1) end) end
      from (select :net(c) as net, c.occurred_at from {item_counts} as c
             where c.product_id = item.product_id and c.item_id = item.item_id and :known(c)
               and :net(c) is not null and c.occurred_at < :until order by :key_desc(c) limit 1) as newest), 0)

-- name: rank
case when item.votes_net is not null and not item.deleted then (
    select 1 + cardinality(board.votes) - width_bucket(item.votes_net, board.votes)
      from :ranks as board where board.product_id = item.product_id) end

-- name: ranks
-- The net votes of every item of a board, sorted, so that a rank is one search.
select ranked.product_id, array_agg(ranked.votes_net order by ranked.votes_net) as votes
  from :items(votes_net, deleted) as ranked
 where :visible(ranked) and not ranked.deleted and ranked.votes_net is not null
 group by ranked.product_id

-- name: voters
(usr.product_id, usr.user_id) in (select ballot.product_id, ballot.user_id from :votes() as ballot
                                   where ballot.product_id = item.product_id and ballot.item_id = item.item_id
                                     and ballot.user_id is not null and not ballot.withdrawn
                                     and ballot.value is distinct from -1)
