-- What comments are read from as of a moment.

-- name: then
select known.product_id, known.comment_id :columns
  from :rows as known
:joins
:but_private

-- name: but_private
-- Nothing of what was a private note at the moment; as in `but_private` of plan/moments.sql, until a rebuild.
 where coalesce((
           select told.public
             from (select false as public) as unsaid
            cross join lateral (
                  select public, o.occurred_at, o.is_delete, o.updated_at, o.position
                    from {comment_versions} as o
                   where o.product_id = known.product_id and o.comment_id = known.comment_id and :known(o)
                     and public is not null
                  ) as told
            order by :key_desc(told) limit 1), true)

-- name: thread_of
-- Whole comments may leave these out, so that a complete one says nothing of older ones.
(select o.:column from {comment_versions} as o
  where o.product_id = known.product_id and o.comment_id = known.comment_id and :known(o) and o.:column is not null
  order by :key_desc(o) limit 1)

-- name: answered
-- What a comment answers, as far as that is seen by whoever sees no private notes.
(select known.comment_id
   from (select known.product_id, :told as comment_id) as known
   join {comments} as seen using (product_id, comment_id)
 :but_private)

-- name: content
 cross join lateral (
       select o.complete, :said, o.updated_at, o.position
         from {comment_versions} as o
        where o.product_id = known.product_id and o.comment_id = known.comment_id and :newest(o)
        order by :newest_first(o) limit 1
       ) as content

-- name: content_of
coalesce(content.:column, case when not content.complete then (
    select o.:column from {comment_versions} as o
     where o.product_id = known.product_id and o.comment_id = known.comment_id and :known(o) and o.:column is not null
     order by :key_desc(o) limit 1) end)

-- name: search_of
case when (:body) is not distinct from known.body then known.search
     else to_tsvector('simple', read_model.searched(left(coalesce(:body, ''), 100000))) end

-- name: updated_at
coalesce(nullif(content.updated_at, '-infinity'), case when not content.complete then (
    select o.updated_at from {comment_versions} as o
     where o.product_id = known.product_id and o.comment_id = known.comment_id and :known(o) and o.updated_at > '-infinity'
     order by :key_desc(o) limit 1) end)

-- name: position
(select max(o.position) from {comment_versions} as o
  where o.product_id = known.product_id and o.comment_id = known.comment_id and :known(o))

-- name: life
  left join lateral (
       select l.action = 'delete' as deleted, l.occurred_at
         from {comment_versions} as l
        where l.product_id = known.product_id and l.comment_id = known.comment_id and :known(l) and l.action is not null
        order by :key_desc(l) limit 1
       ) as life on true
