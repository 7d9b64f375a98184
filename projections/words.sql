-- What a step has in it, in words. A statement that begins with `-- only with: …` is left out of a live step that has none
-- of them: to ask once, of what was staged, takes a fraction of asking before each statement. Each block adds the
-- words that one table of the step gives; those it has no table of are none.

-- name: hot
-- Entities by their names, these with their verbs, comments that do not say their item, and what was fetched.
select unnest(array[
           h.entity,
           h.entity || '.' || h.verb,
           case when h.entity = 'comment' and h.item_id is null then 'comment of no item' end,
           case when h.origin in ('BACKFILL', 'RECONCILE') then 'fetched' end
       ])
  from {hot} h;

-- name: ballots
-- Votes of which nothing was told before, or something, and those that came late.
select unnest(array[
           case when b.first then 'new vote' else 'known vote' end,
           case when not b.newest then 'late vote' end
       ])
  from {ballots} b;

-- name: posts
-- Posts that told something of their item, that came late, or whose totals moved by other than the votes we know; and
-- whether there are several of one item.
select unnest(array[
           case when p.content_told then 'post told' end,
           case when not p.newest then 'late post' end,
           case when p.newest and not p.fetched
                 and substr(read_model.bytes_of(p.told), 68) <> substr(read_model.bytes_of(p.before), 68)
                then 'moved totals' end,
           case when count(*) over (partition by p.product_id, p.item_id) > 1 then 'posts of one item' end
       ])
  from {posts} p;

-- name: mentions
-- Users of whom something was told, and mentions that came late.
select unnest(array[
           case when m.content_told then 'user told' end,
           case when m.told is not null and not m.newest then 'late mention' end
       ])
  from {mentions} m;
