-- What a step reads from the log, once for all projections: each block fills one table of the step.
-- A step covers the positions ($1, $2]. Following live, the tables are temporary and emptied at commit;
-- a rebuild makes them anew for each of its far larger steps. The select is the same. {group} is '*' for the
-- built-in projections, else the name of the one whose step this is: its parked events are left out.

-- name: hot
-- One row an event, with what more than one projection needs. `data` is carried along for the rarer
-- kinds of event only; the wide columns of posts and users are read again by position where they changed.
--   $1 first  the position already handled
--   $2 last   the position to handle up to
select e.position,
       e.product_id,
       e.entity,
       e.entity_id,
       split_part(e.action, '.', 2) as verb,
       e.action,
       e.occurred_at,
       e.occurred_assumed,
       e.recorded_at,
       e.origin,
       e.erased_at is not null as erased,
       i.item_id,
       i.item_id is not null and coalesce(
           p.votes_up, p.votes_down, p.total_sum, p.comments, p.subscribers, p.trend, p.scoring, p.ratio,
           p.title, p.description, p.status, p.type, p.effort, p.created, p.updated, i.author_id
       ) is not null as has_post,
       e.entity = 'item' and split_part(e.action, '.', 2) = 'delete' as deletes_item,
       coalesce(read_model.moment_of(p.updated), '-infinity') as post_updated_at,
       read_model.int_of(p.votes_up) as votes_up,
       read_model.int_of(p.votes_down) as votes_down,
       read_model.int_of(p.total_sum) as total_sum,
       read_model.int_of(p.comments) as comments,
       read_model.int_of(p.subscribers) as subscribers,
       read_model.number_of(p.trend) as trend,
       read_model.number_of(p.scoring) as scoring,
       read_model.number_of(p.ratio) as ratio,
       hash_record_extended(
           row(p.title, p.description, p.status, p.type, p.effort, p.created, i.author_id), 0
       ) as content_hash,
       i.author_id,
       case when i.user_id = i.author_id and d.said is not null then null
            when jsonb_typeof(p.author) = 'object' then jsonb_hash_extended(p.author, 0) end as author_hash,
       i.user_id,
       jsonb_hash_extended(d.said, 0) as user_hash,
       d.vote,
       coalesce(read_model.moment_of(d.created), e.occurred_at) as created_at,
       case when e.entity = 'item' then coalesce(read_model.moment_of(p.updated), '-infinity')
            else coalesce(read_model.moment_of(d.updated), '-infinity') end as updated_at,
       case when e.entity not in ('vote', 'item') then e.data end as data
  from log.events e
 cross join lateral (
       select read_model.post_of(e.entity, e.data) as post,
              read_model.user_of(e.entity, e.data) as said,
              e.data ->> 'feedback_id' as feedback_id,
              e.data ->> 'vote' as vote,
              e.data ->> 'created' as created,
              e.data ->> 'updated' as updated,
              e.data ->> 'user_id' as user_id
       offset 0
       ) d
 cross join lateral (
       select d.post ->> 'title' as title,
              d.post ->> 'description' as description,
              d.post ->> 'status' as status,
              d.post ->> 'type' as type,
              d.post ->> 'effort' as effort,
              d.post ->> 'created' as created,
              d.post ->> 'updated' as updated,
              d.post ->> 'feedback_id' as feedback_id,
              d.post ->> 'id' as id,
              d.post -> 'user' as author,
              d.post -> 'user' ->> 'user_id' as author_user_id,
              d.post ->> 'user_id' as author_id,
              d.post ->> 'total_up' as votes_up,
              d.post ->> 'total_down' as votes_down,
              d.post ->> 'total_sum' as total_sum,
              d.post ->> 'total_comments' as comments,
              d.post ->> 'total_subscriber' as subscribers,
              d.post ->> 'trend' as trend,
              d.post ->> 'scoring' as scoring,
              d.post ->> 'total_ratio' as ratio,
              d.said ->> 'user_id' as user_id,
              d.said ->> 'id' as user_own_id
       offset 0
       ) p
 cross join lateral (
       select coalesce(read_model.id_of(p.feedback_id), read_model.id_of(p.id), read_model.id_of(d.feedback_id)) as item_id,
              coalesce(read_model.id_of(p.author_user_id), read_model.id_of(p.author_id)) as author_id,
              case when e.entity <> 'item'
                   then coalesce(
                       read_model.id_of(p.user_id),
                       read_model.id_of(d.user_id),
                       case when e.entity in ('user', 'changelog_subscriber') then read_model.id_of(p.user_own_id) end
                   ) end as user_id,
              p.updated
       offset 0
       ) i
 where e.position > $1
   and e.position <= $2
   and not exists (
       select 1
         from read_model.parked w
        where w.projection = '{group}'
          and w.product_id = e.product_id
          and w.entity = e.entity
          and w.entity_id = e.entity_id
          and w.position <= e.position
       )
   and not exists (
       select 1 from read_model.parked w where w.projection = '{group}' and w.position = e.position
       );

-- name: ballots
-- One row a vote event, with the vote of the same voter that was the newest before it (by arrival), and by
-- how much it moved the known votes. A vote whose direction was not told counts as one for.
select w.position, w.product_id, w.item_id, w.voter, w.user_id, w.occurred_at, w.is_delete, w.updated_at,
       w.value, w.withdrawn, w.cast_at, w.told, w.before,
       w.newest,
       case when w.newest then w.up - w.up_before else 0 end as effect_up,
       case when w.newest then w.down - w.down_before else 0 end as effect_down
  from (
       select b.*,
              b.before is null or b.told > b.before as newest,
              (substr(b.told, 52, 1) = '+')::int as up,
              (substr(b.told, 52, 1) = '-')::int as down,
              coalesce(substr(b.before, 52, 1) = '+', false)::int as up_before,
              coalesce(substr(b.before, 52, 1) = '-', false)::int as down_before
         from (
              select t.*,
                     greatest(v.told collate "C", max(t.told) over arrivals) as before
                from (
                     select s.*,
                            (read_model.key(s.occurred_at, s.is_delete, s.updated_at, s.position)
                                || case when s.withdrawn then '0' when s.value = -1 then '-' else '+' end
                                || coalesce(s.value::text, '')
                            ) collate "C" as told
                       from (
                            select h.position, h.product_id, h.item_id,
                                   coalesce(h.user_id, 'p' || h.position) as voter,
                                   h.user_id, h.occurred_at,
                                   h.verb = 'delete' as is_delete,
                                   h.updated_at,
                                   case when h.verb <> 'delete'
                                        then nullif(sign(read_model.int_of(h.vote)), 0)::smallint end as value,
                                   h.verb = 'delete' or coalesce(read_model.int_of(h.vote) = 0, false) as withdrawn,
                                   h.created_at as cast_at
                              from {hot} h
                             where h.entity = 'vote'
                               and h.item_id is not null
                            ) s
                     ) t
                left join {votes} v
                  on v.product_id = t.product_id and v.item_id = t.item_id and v.voter = t.voter
              window arrivals as (
                  partition by t.product_id, t.item_id, t.voter order by t.position
                  rows between unbounded preceding and 1 preceding
              )
              ) b
       ) w;

-- name: posts
-- One row for each post that an event carried, with what the newest one before it (by arrival) said.
-- `told` sorts like the key and carries the hash of the content and by how much the totals differ from the
-- votes known at that moment; so a running maximum is the newest post so far, and its text says how that
-- one read. `before` is null for the first.
select w.position, w.product_id, w.item_id, w.occurred_at, w.is_delete, w.updated_at,
       w.votes_up, w.votes_down, w.total_sum, w.comments, w.subscribers, w.trend, w.scoring, w.ratio,
       w.told,
       w.before,
       w.before is null or w.told > w.before as newest,
       w.before is null or w.told < w.before
           or substr(w.told, 52, 16) <> substr(w.before, 52, 16) as content_told
  from (
       select t.*,
              greatest(t.newest_post, max(t.told) over (
                  partition by t.product_id, t.item_id order by t.position
                  rows between unbounded preceding and 1 preceding
              )) collate "C" as before
         from (
              select m.*,
                     case when m.has_post then
                         (read_model.key(m.occurred_at, m.is_delete, m.updated_at, m.position)
                             || encode(int8send(m.content_hash), 'hex')
                             || coalesce((m.votes_up - m.known_up)::text, '') || ','
                             || coalesce((m.votes_down - m.known_down)::text, '')
                         ) collate "C"
                     end as told
                from (
                     select h.position, h.product_id, h.item_id, h.occurred_at, h.deletes_item as is_delete,
                            h.post_updated_at as updated_at, h.has_post, h.content_hash,
                            h.votes_up, h.votes_down, h.total_sum, h.comments, h.subscribers,
                            h.trend, h.scoring, h.ratio,
                            i.newest_post,
                            coalesce(i.known_up, 0) + sum(coalesce(b.effect_up, 0)) over arrivals as known_up,
                            coalesce(i.known_down, 0) + sum(coalesce(b.effect_down, 0)) over arrivals as known_down
                       from {hot} h
                       left join {ballots} b on b.position = h.position and (b.effect_up <> 0 or b.effect_down <> 0)
                       left join {items} i on i.product_id = h.product_id and i.item_id = h.item_id
                      where h.has_post
                         or b.position is not null
                     window arrivals as (
                         partition by h.product_id, h.item_id order by h.position
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
       w.told,
       w.before,
       w.told is not null and (w.before is null or w.told > w.before) as newest,
       w.told is not null and (
           w.whole or w.before is null or w.told < w.before or substr(w.told, 52, 16) <> substr(w.before, 52, 16)
       ) as content_told
  from (
       select t.*,
              greatest(u.newest_mention collate "C", max(t.told) over arrivals) as before
         from (
              select m.position, m.product_id, m.user_id, m.occurred_at, m.is_delete, m.updated_at,
                     m.actor, m.author, m.whole,
                     case when m.hash is not null then
                         (read_model.key(m.occurred_at, m.is_delete, m.updated_at, m.position)
                             || encode(int8send(m.hash), 'hex')
                         ) collate "C"
                     end as told
                from (
                     select h.position, h.product_id, h.user_id, h.occurred_at,
                            h.entity = 'user' and h.verb = 'delete' as is_delete,
                            case when h.entity = 'user' then h.updated_at else '-infinity' end as updated_at,
                            h.entity in ('user', 'vote', 'subscription', 'comment', 'satisfaction')
                                or h.action = 'changelog.subscribe' as actor,
                            h.entity = 'user' as whole,
                            h.user_hash is null and h.author_hash is not null and h.author_id = h.user_id as author,
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
           partition by t.product_id, t.user_id order by t.position
           rows between unbounded preceding and 1 preceding
       )
       ) w;
