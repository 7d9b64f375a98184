-- What a step reads from the log, once for all projections: each block fills one table of the step.
-- A step covers the positions ($1, $2]. Following live, the tables are temporary and emptied at commit;
-- a rebuild makes them anew for each of its far larger steps. The select is the same. {group} is '*' for the
-- built-in projections, else the name of the one whose step this is: its parked events are left out. {only} is
-- true, or what events a replay of one product is about.

-- name: hot
-- One row an event, with what more than one projection needs. `data` is carried along for the rarer
-- kinds of event only; the wide columns of posts and users are read again by position where they changed.
-- Each level is kept apart by `offset 0`: merged into one, the planner takes the post out of the body anew
-- for each of its members (24 instead of 9 microseconds an event).
--   $1 first  the position already handled
--   $2 last   the position to handle up to
select i.position, i.product_id, i.entity, i.entity_id, i.verb, i.action, i.occurred_at, i.occurred_assumed,
       i.recorded_at, i.origin, i.erased, i.item_id,
       i.item_id is not null and (i.content_told or coalesce(
           i.votes_up, i.votes_down, i.total_sum, i.comments, i.subscribers, i.trend, i.scoring, i.ratio, i.updated,
           i.author_id
       ) is not null) as has_post,
       i.entity = 'item' and i.verb = 'delete' as deletes_item,
       coalesce(i.post_updated_at, '-infinity') as post_updated_at,
       read_model.int_of(i.votes_up) as votes_up,
       read_model.int_of(i.votes_down) as votes_down,
       read_model.int_of(i.total_sum) as total_sum,
       read_model.int_of(i.comments) as comments,
       read_model.int_of(i.subscribers) as subscribers,
       read_model.number_of(i.trend) as trend,
       read_model.number_of(i.scoring) as scoring,
       read_model.number_of(i.ratio) as ratio,
       i.content_hash,
       i.author_id,
       case when i.user_id = i.author_id and i.said is not null then null else i.author_hash end as author_hash,
       i.user_id,
       case when i.entity = 'user' then jsonb_hash_extended(i.said, 0)
            when i.said is not null then read_model.person_hash(i.said) end as user_hash,
       i.vote,
       case when i.created = i.happened then i.occurred_at else read_model.moment_of(i.created) end as created_at,
       coalesce(case when i.entity = 'item' then i.post_updated_at
                     when i.own_updated = i.happened then i.occurred_at
                     else read_model.moment_of(i.own_updated) end,
                '-infinity') as updated_at,
       coalesce(i.entity = 'comment' and not read_model.public_of(i.data ->> 'public'), false) as private,
       -- The vote that was told without its voter which this event is about: by the position that told it.
       case when i.entity = 'vote' and i.origin in ('BACKFILL', 'RECONCILE') and i.data ->> 'vote_position' ~ '^[1-9][0-9]{0,17}$'
            then (i.data ->> 'vote_position')::bigint end as about,
       case when i.entity not in ('vote', 'item') then i.data end as data
  from (
       select p.position, p.product_id, p.entity, p.entity_id, p.verb, p.action, p.occurred_at, p.occurred_assumed,
              -- As bodies write it: most say in `created` or `updated` when they happened, which need not be read again.
              (p.occurred_at at time zone 'UTC')::text as happened,
              p.recorded_at, p.origin, p.erased, p.data, p.said, p.vote, p.created, p.own_updated,
              p.votes_up, p.votes_down, p.total_sum, p.comments, p.subscribers, p.trend, p.scoring, p.ratio, p.updated,
              coalesce(
                  read_model.id_of(p.post_feedback_id), read_model.id_of(p.post_id), read_model.id_of(p.feedback_id)
              ) as item_id,
              p.author_id,
              case when p.entity <> 'item' then coalesce(
                  read_model.id_of(p.said_user_id),
                  read_model.id_of(p.user_id),
                  case when p.entity in ('user', 'changelog_subscriber') then read_model.id_of(p.said_id) end
              ) end as user_id,
              read_model.moment_of(p.updated) as post_updated_at,
              p.content_told,
              p.content_hash,
              p.author_hash
         from (
              select o.position, o.product_id, o.entity, o.entity_id, o.verb, o.action, o.occurred_at,
                     o.occurred_assumed, o.recorded_at, o.origin, o.erased, o.data, o.said,
                     o.data ->> 'feedback_id' as feedback_id,
                     o.data ->> 'vote' as vote,
                     o.data ->> 'created' as created,
                     o.data ->> 'updated' as own_updated,
                     o.data ->> 'user_id' as user_id,
                     o.said ->> 'user_id' as said_user_id,
                     o.said ->> 'id' as said_id,
                     o.post ->> 'feedback_id' as post_feedback_id,
                     o.post ->> 'id' as post_id,
                     o.post ->> 'updated' as updated,
                     o.post ->> 'total_up' as votes_up,
                     o.post ->> 'total_down' as votes_down,
                     o.post ->> 'total_sum' as total_sum,
                     o.post ->> 'total_comments' as comments,
                     o.post ->> 'total_subscriber' as subscribers,
                     o.post ->> 'trend' as trend,
                     o.post ->> 'scoring' as scoring,
                     o.post ->> 'total_ratio' as ratio,
                     coalesce(o.title, o.description, o.status, o.type, o.effort, o.created, o.tags, o.owner_id, o.estimated,
                              o.merge_id) is not null as content_told,
                     hash_record_extended(
                         row(o.title, o.description, o.status, o.type, o.effort, o.created, o.author_id, o.tags, o.owner_id,
                             o.estimated, o.merge_id), 0
                     ) as content_hash,
                     o.author_id,
                     case when jsonb_typeof(o.author) = 'object' then read_model.person_hash(o.author) end as author_hash
                from (
                     select n.position, n.product_id, n.entity, n.entity_id, n.verb, n.action, n.occurred_at,
                            n.occurred_assumed, n.recorded_at, n.origin, n.erased, n.data, n.said, n.post, n.author,
                            n.post ->> 'title' as title,
                            n.post ->> 'description' as description,
                            n.post ->> 'status' as status,
                            n.post ->> 'type' as type,
                            n.post ->> 'effort' as effort,
                            n.post ->> 'created' as created,
                            n.post ->> 'tags' as tags,
                            n.post ->> 'owner_id' as owner_id,
                            n.post ->> 'estimated' as estimated,
                            n.post ->> 'merge_id' as merge_id,
                            coalesce(
                                read_model.id_of(n.author_user_id), read_model.id_of(n.post ->> 'user_id')
                            ) as author_id
                       from (
                            select m.position, m.product_id, m.entity, m.entity_id, m.verb, m.action, m.occurred_at,
                                   m.occurred_assumed, m.recorded_at, m.origin, m.erased, m.data, m.said, m.post, m.author,
                                   m.author ->> 'user_id' as author_user_id
                              from (
                                   select l.position, l.product_id, l.entity, l.entity_id, l.verb, l.action,
                                          l.occurred_at, l.occurred_assumed, l.recorded_at, l.origin, l.erased,
                                          l.data, l.post, l.post -> 'user' as author,
                                          case when l.entity = 'item' then null
                                               when jsonb_typeof(l.beside) = 'object' then l.beside
                                               when l.entity in ('user', 'changelog_subscriber') then l.data end as said
                                     from (
                                          select e.position, e.product_id, e.entity, e.entity_id, e.action,
                                                 split_part(e.action, '.', 2) as verb,
                                                 e.occurred_at, e.occurred_assumed, e.recorded_at, e.origin,
                                                 e.erased_at is not null as erased,
                                                 e.data,
                                                 read_model.post_of(e.entity, e.data) as post,
                                                 e.data -> 'user' as beside
                                            from log.events e
                                           where e.position > $1
                                             and e.position <= $2
                                             and {only}
                                             -- Asked once a step: only where something is parked is each event held
                                             -- against it.
                                             and (not exists (
                                                      select 1 from read_model.parked w where w.projection = '{group}'
                                                  )
                                                  or not exists (
                                                      select 1
                                                        from read_model.parked w
                                                       where w.projection = '{group}'
                                                         and w.product_id = e.product_id
                                                         and (w.position = e.position
                                                              or w.entity = e.entity
                                                                 and w.entity_id = e.entity_id
                                                                 and w.position <= e.position)
                                                  ))
                                          offset 0
                                          ) l
                                   offset 0
                                   ) m
                            offset 0
                            ) n
                     offset 0
                     ) o
              offset 0
              ) p
       offset 0
       ) i;

-- Below, partitions start with the id and compare it byte by byte: started with the product, which is one and
-- the same for most, each comparison goes the long way.

-- name: ballots
-- One row a vote event of a known kind, and by how much it moved the known votes: what stood after it (by arrival) less
-- what stood before. Whether a vote stands is what its newest event says; its direction is what the newest event
-- that told one said, and a vote of which none did counts as one for. So running maxima of `told` find these: it sorts
-- like the key, and then says whether the vote stands, in which direction (' ' where it is not said), and how well the
-- event tells when it was cast: in `created` (2), by when it happened (1), or, taking it back, not at all (0).
select w.position, w.product_id, w.item_id, w.voter, w.user_id, w.occurred_at, w.is_delete, w.updated_at,
       w.value, w.withdrawn, w.cast_at, w.told,
       w.fetched,
       w.before is null as first,
       w.before is null or w.told > w.before as newest,
       case when w.stood then case substr(read_model.bytes_of(w.said_before), 53, 1) when '+' then 1 when '-' then -1 end
            end as value_before,
       (w.stands and not w.against)::int - (w.stood and not w.was_against)::int as effect_up,
       (w.stands and w.against)::int - (w.stood and w.was_against)::int as effect_down
  from (
       select b.*,
              substr(read_model.bytes_of(greatest(b.before, b.told)), 52, 1) = '1' as stands,
              coalesce(substr(read_model.bytes_of(b.before), 52, 1) = '1', false) as stood,
              coalesce(case when b.value is null or b.told < b.said_before
                            then substr(read_model.bytes_of(b.said_before), 53, 1) = '-' else b.value = -1 end,
                       false) as against,
              coalesce(substr(read_model.bytes_of(b.said_before), 53, 1) = '-', false) as was_against
         from (
              select t.*,
                     greatest(v.told collate "C", max(t.told) over arrivals) as before,
                     greatest(coalesce(v.said, case when substr(v.told, 53, 1) <> ' ' then v.told end) collate "C",
                              max(t.told) filter (where t.value is not null) over arrivals) as said_before
                from (
                     select s.*,
                            (read_model.key(s.occurred_at, s.is_delete, s.updated_at, s.position)
                                || case when s.withdrawn then '0' else '1' end
                                || case s.value when 1 then '+' when -1 then '-' else ' ' end
                                || case when s.cast_at is not null then '2' when s.withdrawn then '0' else '1' end
                            ) collate "C" as told
                       from (
                            -- A vote whose voter came to be known is another's from then on: nothing is left of it.
                            select h.position, h.product_id, h.item_id,
                                   case when h.verb = 'named' then 'p' || h.about
                                        else coalesce(h.user_id, 'p' || coalesce(h.about, h.position)) end as voter,
                                   case when h.verb <> 'named' then h.user_id end as user_id,
                                   h.occurred_at,
                                   h.verb in ('delete', 'named', 'moved') as is_delete,
                                   h.updated_at,
                                   nullif(sign(read_model.int_of(h.vote)), 0)::smallint as value,
                                   h.verb in ('delete', 'named', 'moved')
                                       or coalesce(read_model.int_of(h.vote) = 0, false) as withdrawn,
                                   h.created_at as cast_at,
                                   h.origin in ('BACKFILL', 'RECONCILE') as fetched
                              from {hot} h
                             where h.entity = 'vote'
                               and (h.verb in ('create', 'update', 'delete', 'moved') or h.verb = 'named' and h.about is not null)
                               and h.item_id is not null
                            ) s
                     ) t
                left join {votes} v
                  on v.product_id = t.product_id and v.item_id = t.item_id and v.voter = t.voter
              window arrivals as (
                  partition by t.item_id collate "C", t.voter collate "C", t.product_id order by t.position
                  rows between unbounded preceding and 1 preceding
              )
              ) b
       ) w;

-- name: posts
-- One row for each post that an event carried, with what the newest one before it (by arrival) said.
-- `told` sorts like the key and carries the hash of the content and by how much the totals differ from the
-- votes that were delivered by that moment; so a running maximum is the newest post so far, and its text says how that
-- one read. `before` is null for the first.
select w.position, w.product_id, w.item_id, w.occurred_at, w.is_delete, w.updated_at,
       w.votes_up, w.votes_down, w.total_sum, w.comments, w.subscribers, w.trend, w.scoring, w.ratio,
       w.fetched,
       w.told,
       w.before,
       w.content_hash,
       w.before is null or w.told > w.before as newest,
       w.before is null or w.told > w.before
           and substr(read_model.bytes_of(w.told), 52, 16) <> substr(read_model.bytes_of(w.before), 52, 16)
           as content_told
  from (
       select t.*,
              greatest(t.newest_post, max(t.told) over (
                  partition by t.item_id collate "C", t.product_id order by t.position
                  rows between unbounded preceding and 1 preceding
              )) collate "C" as before
         from (
              select m.*,
                     case when m.has_post then
                         (read_model.key(m.occurred_at, m.is_delete, m.updated_at, m.position)
                             || encode(int8send(m.content_hash), 'hex')
                             || coalesce((m.votes_up - m.heard_up)::text, '') || ','
                             || coalesce((m.votes_down - m.heard_down)::text, '')
                         ) collate "C"
                     end as told
                from (
                     select h.position, h.product_id, h.item_id, h.occurred_at, h.deletes_item as is_delete,
                            h.post_updated_at as updated_at, h.has_post, h.content_hash,
                            h.votes_up, h.votes_down, h.total_sum, h.comments, h.subscribers,
                            h.trend, h.scoring, h.ratio,
                            h.origin in ('BACKFILL', 'RECONCILE') as fetched,
                            i.newest_post,
                            coalesce(i.heard_up, 0)
                                + sum(case when b.fetched then 0 else coalesce(b.effect_up, 0) end) over arrivals as heard_up,
                            coalesce(i.heard_down, 0)
                                + sum(case when b.fetched then 0 else coalesce(b.effect_down, 0) end) over arrivals as heard_down
                       from {hot} h
                       left join {ballots} b on b.position = h.position and (b.effect_up <> 0 or b.effect_down <> 0)
                       left join {item_states} i on i.product_id = h.product_id and i.item_id = h.item_id
                      where h.has_post
                         or b.position is not null
                     window arrivals as (
                         partition by h.item_id collate "C", h.product_id order by h.position
                         rows between unbounded preceding and current row
                     )
                     ) m
              ) t
       ) w
 where w.told is not null;

-- name: mentions
-- One row for each user that an event mentions: the one beside the post, or the user itself, and the
-- post's author. `said` is null where only the id came.
select w.position, w.product_id, w.user_id, w.occurred_at, w.is_delete, w.updated_at, w.actor, w.author,
       w.hash as content_hash,
       w.told,
       w.told is not null and (w.before is null or w.told > w.before) as newest,
       w.told is not null and (
           w.whole or w.before is null
           or w.told > w.before
              and substr(read_model.bytes_of(w.told), 52, 16) <> substr(read_model.bytes_of(w.before), 52, 16)
       ) as content_told
  from (
       select t.*,
              greatest(u.newest_mention collate "C", max(t.told) over arrivals) as before
         from (
              select m.position, m.product_id, m.user_id, m.occurred_at, m.is_delete, m.updated_at,
                     m.actor, m.author, m.whole, m.hash,
                     case when m.hash is not null then
                         (read_model.key(m.occurred_at, m.is_delete, m.updated_at, m.position)
                             || encode(int8send(m.hash), 'hex')
                         ) collate "C"
                     end as told
                from (
                     select h.position, h.product_id, h.user_id, h.occurred_at,
                            h.entity = 'user' and h.verb = 'delete' as is_delete,
                            case when h.entity = 'user' then h.updated_at else '-infinity' end as updated_at,
                            (h.entity in ('user', 'vote', 'subscription', 'comment', 'satisfaction')
                                or h.action = 'changelog.subscribe') and not h.private and h.verb not in ('snapshot', 'named', 'moved') as actor,
                            h.entity = 'user' as whole,
                            h.user_hash is null and h.author_hash is not null
                                and h.author_id is not distinct from h.user_id as author,
                            coalesce(h.user_hash, case when h.author_id = h.user_id then h.author_hash end) as hash
                       from {hot} h
                      where h.user_id is not null
                     union all
                     select h.position, h.product_id, h.author_id, h.occurred_at,
                            false,
                            '-infinity',
                            h.action = 'item.create',
                            false,
                            true,
                            h.author_hash
                       from {hot} h
                      where h.author_id is not null
                        and h.item_id is not null
                        and h.author_id is distinct from h.user_id
                     ) m
              ) t
         left join {users} u on u.product_id = t.product_id and u.user_id = t.user_id
       window arrivals as (
           partition by t.user_id collate "C", t.product_id order by t.position
           rows between unbounded preceding and 1 preceding
       )
       ) w;
