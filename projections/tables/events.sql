-- What each event is, in the words of the GraphQL schema, and whom and what it is about; for an edit also
-- which fields it changed, compared with what was known of the entity before it when it came; and of a vote what it told,
-- and by how much it moved the votes known when it came.

-- name: tables
create table {event_facts} (
    position          bigint      not null,
    product_id        bigint      not null,
    action            text        not null,
    type              text        not null,
    entity            text        not null,
    entity_id         text,
    item_id           text,
    user_id           text,
    comment_id        text,
    changelog_id      text,
    satisfaction_id   text,
    origin            text        not null,
    occurred_at       timestamptz not null,
    occurred_assumed  boolean     not null,
    recorded_at       timestamptz not null,
    changed_fields    text[],
    erased            boolean     not null,
    private           boolean     not null,
    voter             text,
    vote_newest       boolean,
    vote_deleted      boolean,
    vote_updated_at   timestamptz,
    value             smallint,
    withdrawn         boolean,
    cast_at           timestamptz,
    effect_up         smallint,
    effect_down       smallint,
    same_as           bigint
);
comment on column {event_facts}.user_id is 'Who did it, as far as it was told.';
comment on column {event_facts}.same_as is 'The event of another origin that told the same fact before.';
comment on column {event_facts}.private is 'Whether it tells of a private note, or of a comment while it was one.';
comment on column {event_facts}.voter is 'Of votes of an item alone, as what follows: who voted, or the event''s own position.';
comment on column {event_facts}.changed_fields is 'Null unless the event is an edit, or moves a vote; fields whose value was known before and differs.';

-- Every vote event. What one does not say of the direction and of when the vote was cast is null: reads fill it, as
-- `votes` says.
create view {vote_versions} as
select product_id, item_id, voter, user_id, occurred_at, vote_deleted as is_delete, vote_updated_at as updated_at, position,
       vote_newest as newest, value, withdrawn, cast_at, effect_up, effect_down, type
  from {event_facts}
 where voter is not null;

-- name: indexes
-- Those of large tables start with the id: most events are of one product, and to compare it first takes longer, in each step
-- down an index and a third of the time in which a rebuild sorts one.
alter table {event_facts} add primary key (position);
create index on {event_facts} (item_id, voter, product_id, occurred_at, vote_deleted, vote_updated_at, position)
    where voter is not null;
create index on {event_facts} (position) where not vote_newest;

-- name: lookups
-- What reads need of tables that `settle` writes: a rebuild makes these indexes last.
create index on {event_facts} (product_id, position);
create index on {event_facts} (item_id, product_id, occurred_at, position) where item_id is not null;
create index on {event_facts} (user_id, product_id, position) where user_id is not null;
create index on {event_facts} (product_id, type, position);
create index on {event_facts} (product_id, occurred_at);
create index on {event_facts} (recorded_at, position);
create index on {event_facts} (position) where origin in ('BACKFILL', 'RECONCILE');

-- name: apply.facts
insert into {event_facts} (
    position, product_id, action, type, entity, entity_id, item_id, user_id, comment_id, changelog_id, satisfaction_id,
    origin, occurred_at, occurred_assumed, recorded_at, changed_fields, erased, private, same_as,
    voter, vote_newest, vote_deleted, vote_updated_at, value, withdrawn, cast_at, effect_up, effect_down
)
select h.position, h.product_id, h.action,
       case
           when h.about is not null and h.verb in ('create', 'named') then 'TOLD_AGAIN'
           when read_model.only_seen(h.action) then 'SNAPSHOT'
           when h.verb not in ('create', 'update', 'delete') and h.action <> 'changelog.subscribe' then 'OTHER'
           when h.entity = 'vote' then coalesce(d.vote_moved, 'VOTE_CAST')
           when h.action = 'item.create' then 'ITEM_CREATED'
           when h.action = 'item.update' then 'ITEM_EDITED'
           when h.action = 'item.delete' then 'ITEM_DELETED'
           when h.action = 'comment.create' then 'COMMENT_CREATED'
           when h.action = 'comment.update' then 'COMMENT_EDITED'
           when h.action = 'comment.delete' then 'COMMENT_DELETED'
           when h.entity = 'subscription' then case when h.verb = 'delete' then 'UNSUBSCRIBED' else 'SUBSCRIBED' end
           when h.action = 'changelog.create' then 'CHANGELOG_CREATED'
           when h.action = 'changelog.update' then 'CHANGELOG_EDITED'
           when h.action = 'changelog.delete' then 'CHANGELOG_DELETED'
           when h.action = 'changelog.subscribe' then 'CHANGELOG_SUBSCRIBED'
           when h.action in ('satisfaction.create', 'satisfaction.update') then 'SATISFACTION_GIVEN'
           when h.action = 'user.create' then 'USER_CREATED'
           when h.action = 'user.update' then 'USER_EDITED'
           when h.action = 'user.delete' then 'USER_DELETED'
           else 'OTHER'
       end,
       h.entity,
       h.entity_id,
       h.item_id,
       case when h.verb in ('snapshot', 'named', 'moved') then null
            when h.entity in ('user', 'vote', 'subscription', 'comment', 'satisfaction')
                 or h.action = 'changelog.subscribe' then h.user_id
            when h.action = 'item.create' then h.author_id end,
       d.comment_id, d.changelog_id, d.satisfaction_id,
       h.origin, h.occurred_at, h.occurred_assumed, h.recorded_at,
       case when h.action in ('item.update', 'comment.update', 'changelog.update', 'user.update') then '{}'::text[]
            when d.vote_moved is not null and b.position is not null then '{value}' end,
       h.erased, h.private,
       case when h.verb in ('create', 'named') then h.about end,
       b.voter, b.newest, b.is_delete, b.updated_at, b.value, b.withdrawn, b.cast_at, b.effect_up, b.effect_down
  from {hot} h
  left join {ballots} b on b.position = h.position
 cross join lateral (
       select case when h.entity <> 'vote' then null
                   when h.verb = 'delete' or read_model.int_of(h.vote) = 0 then 'VOTE_WITHDRAWN'
                   when b.newest and b.value <> b.value_before then 'VOTE_CHANGED' end as vote_moved,
              case when h.entity = 'comment' then coalesce(
                  read_model.id_of(h.data ->> 'comment_id'), read_model.id_of(h.data ->> 'id')) end as comment_id,
              case when h.entity = 'changelog' then coalesce(
                  read_model.id_of(h.data ->> 'changelog_id'), read_model.id_of(h.data ->> 'id')) end as changelog_id,
              case when h.entity = 'satisfaction' and h.verb in ('create', 'update', 'delete') then coalesce(
                  read_model.id_of(h.data ->> 'satisfaction_id'), read_model.id_of(h.data ->> 'id'),
                  'p' || h.position) end as satisfaction_id
       ) d;

-- name: settle.late_votes
-- only with: late vote
-- A vote that came late changed what was the newest before it by key, not by arrival.
update {event_facts} f
   set type = 'VOTE_CHANGED',
       changed_fields = '{value}'
  from (
       select v.position
         from {vote_versions} v
        cross join lateral (
              select b.withdrawn
                from {vote_versions} b
               where b.product_id = v.product_id
                 and b.item_id = v.item_id
                 and b.voter = v.voter
                 and (b.occurred_at, b.is_delete, b.updated_at, b.position)
                     < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                 and b.position < v.position
               order by b.occurred_at desc, b.is_delete desc, b.updated_at desc, b.position desc
               limit 1
              ) p
        cross join lateral (
              select b.value
                from {vote_versions} b
               where b.product_id = v.product_id
                 and b.item_id = v.item_id
                 and b.voter = v.voter
                 and (b.occurred_at, b.is_delete, b.updated_at, b.position)
                     < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                 and b.position < v.position
                 and b.value is not null
               order by b.occurred_at desc, b.is_delete desc, b.updated_at desc, b.position desc
               limit 1
              ) d
        where not v.newest
          and not v.withdrawn
          and v.position > $1
          and v.position <= $2
          and not p.withdrawn
          and d.value <> v.value
       ) s
 where f.position = s.position;

-- name: settle.told_again
-- only with: item.create, vote.create, subscription.create, comment.create, user.create, changelog.create, satisfaction.create
-- only if: exists (select from {event_facts} where origin in ('BACKFILL', 'RECONCILE'))
-- One fact told by a delivery and by what was fetched is one: what came later is told again. Votes and followers have no
-- id: within two minutes, one person cannot have voted twice for an item in the same direction, nor have voted for one and for
-- another that was merged into it: that vote went along.
update {event_facts} f
   set type = 'TOLD_AGAIN',
       same_as = s.same_as
  from (
       select e.position, min(t.position) as same_as
         from {event_facts} e
        cross join lateral (
              select o.position
                from {item_lifecycles} o
               where e.entity = 'item'
                 and o.product_id = e.product_id and o.item_id = e.item_id and o.action = 'create'
                 and o.position < e.position
               union all
              select o.position
                from {comment_versions} o
               where e.entity = 'comment'
                 and o.product_id = e.product_id and o.comment_id = e.comment_id and o.action = 'create'
                 and o.position < e.position
               union all
              select o.position
                from {user_versions} o
               where e.entity = 'user'
                 and o.product_id = e.product_id and o.user_id = e.entity_id and o.action = 'create'
                 and o.position < e.position
               union all
              select o.position
                from {changelog_versions} o
               where e.entity = 'changelog'
                 and o.product_id = e.product_id and o.changelog_id = e.changelog_id and o.action = 'create'
                 and o.position < e.position
               union all
              select o.position
                from {satisfaction_versions} n
                join {satisfaction_versions} o
                  on o.product_id = n.product_id and o.satisfaction_id = n.satisfaction_id and o.answered_at = n.answered_at
               where e.entity = 'satisfaction'
                 and n.product_id = e.product_id and n.satisfaction_id = e.satisfaction_id and n.position = e.position
                 and o.position < e.position
               union all
              select o.position
                from (
                     select e.item_id
                      union all
                     select m.item_id
                       from {item_contents} m
                      where e.origin in ('BACKFILL', 'RECONCILE')
                        and m.product_id = e.product_id and m.merged_into = e.item_id and m.merged_into <> ''
                        and m.position < e.position
                     ) n
                join {event_facts} o on o.product_id = e.product_id and o.item_id = n.item_id and o.voter = e.voter
               where e.voter is not null
                 and not e.withdrawn
                 and not o.withdrawn
                 and o.position < e.position
                 and coalesce(o.value, 1) = coalesce(e.value, 1)
                 and coalesce(o.cast_at, o.occurred_at)
                     between coalesce(e.cast_at, e.occurred_at) - interval '2 minutes'
                         and coalesce(e.cast_at, e.occurred_at) + interval '2 minutes'
               union all
              select o.position
                from {subscription_versions} n
                join {subscription_versions} o
                  on o.product_id = n.product_id and o.item_id = n.item_id and o.subscriber = n.subscriber
               where e.entity = 'subscription'
                 and n.product_id = e.product_id and n.item_id = e.item_id and n.position = e.position
                 and n.active
                 and o.active
                 and o.position < e.position
                 and coalesce(o.since, o.occurred_at)
                     between coalesce(n.since, n.occurred_at) - interval '2 minutes'
                         and coalesce(n.since, n.occurred_at) + interval '2 minutes'
              ) t
         join {event_facts} o on o.position = t.position
        where e.position > $1
          and e.position <= $2
          and e.action like '%.create'
          and e.type <> 'VOTE_CHANGED'
          and e.same_as is null
          and o.action like '%.create'
          and (o.origin <> e.origin or e.entity = 'vote' and o.item_id <> e.item_id)
          and (o.origin in ('BACKFILL', 'RECONCILE') or e.origin in ('BACKFILL', 'RECONCILE'))
        group by e.position
       ) s
 where f.position = s.position;

-- name: settle.comment_items
-- only with: comment of no item
-- What a comment event does not say of its item was said when the comment was told of before: by arrival, so that a
-- read as of a position never knows more than was known there.
update {event_facts} f
   set item_id = s.item_id
  from (
       select e.position, o.item_id
         from {event_facts} e
        cross join lateral (
              select v.item_id
                from {comment_versions} v
               where v.product_id = e.product_id
                 and v.comment_id = e.comment_id
                 and v.position < e.position
                 and v.item_id is not null
               order by v.occurred_at desc, v.is_delete desc, v.updated_at desc, v.position desc
               limit 1
              ) o
        where e.entity = 'comment'
          and e.item_id is null
          and e.position > $1
          and e.position <= $2
       ) s
 where f.position = s.position;

-- name: settle.private
-- only with: comment
-- only if: exists (select from {comment_versions} where public is false)
-- Every event of a comment that is a private note now; of one that was, those that were told while it was.
update {event_facts} f
   set private = s.private
  from (
       select v.position, c.private or coalesce(w.public is false, false) as private
         from (
              select distinct product_id, comment_id
                from {comment_versions}
               where position > $1
                 and position <= $2
              ) t
         join {comments} c on c.product_id = t.product_id and c.comment_id = t.comment_id
         join {comment_versions} v on v.product_id = t.product_id and v.comment_id = t.comment_id
         left join lateral (
              select p.public
                from {comment_versions} p
               where p.product_id = v.product_id
                 and p.comment_id = v.comment_id
                 and (p.occurred_at, p.is_delete, p.updated_at, p.position)
                     <= (v.occurred_at, v.is_delete, v.updated_at, v.position)
                 and p.public is not null
               order by p.occurred_at desc, p.is_delete desc, p.updated_at desc, p.position desc
               limit 1
              ) w on true
        where exists (
                  select
                    from {comment_versions} n
                   where n.product_id = t.product_id
                     and n.comment_id = t.comment_id
                     and n.public is false
              )
       ) s
 where f.position = s.position
   and f.private <> s.private;

-- name: settle.item_edits
-- only with: item.update
-- Over all steps at once, what was known before each version of an item is found in one pass, unless some came late.
update {event_facts} f
   set changed_fields = s.changed_fields,
       type = case when 'merged_into' = any (s.changed_fields) and s.merged_into <> '' then 'MERGED'
                   when 'status' = any (s.changed_fields) then 'ITEM_STATUS_CHANGED' else f.type end
  from (
       select w.position, w.changed_fields, w.merged_into
         from (
              select v.position, v.merged_into,
                     bool_and(v.newest) over (partition by v.item_id collate "C", v.product_id) as in_order,
                     array_remove(array[
                         case when v.title <> read_model.last_told(v.title) over before then 'title' end,
                         case when v.description <> read_model.last_told(v.description) over before then 'description' end,
                         case when v.status <> read_model.last_told(v.status) over before then 'status' end,
                         case when v.type <> read_model.last_told(v.type) over before then 'type' end,
                         case when v.effort <> read_model.last_told(v.effort) over before then 'effort' end,
                         case when v.created_at <> read_model.last_told(v.created_at) over before then 'created_at' end,
                         case when v.author_id <> read_model.last_told(v.author_id) over before then 'author_id' end,
                         case when v.tags <> read_model.last_told(v.tags) over before then 'tags' end,
                         case when v.owner_id <> read_model.last_told(v.owner_id) over before then 'owner_id' end,
                         case when v.estimated <> read_model.last_told(v.estimated) over before then 'estimated' end,
                         case when count(*) over before > 0
                               and v.merged_into <> coalesce(read_model.last_told(v.merged_into) over before, '')
                              then 'merged_into' end
                     ], null) as changed_fields
                from {item_contents} v
               where $1 = 0
              window before as (
                  partition by v.item_id collate "C", v.product_id
                  order by v.occurred_at, v.is_delete, v.updated_at, v.position
                  rows between unbounded preceding and 1 preceding
              )
              ) w
         join {item_lifecycles} l on l.position = w.position and l.action = 'update'
        where w.in_order
          and w.position <= $2
        union all
       select v.position,
              array_remove(array[
                  case when v.title <> b.title then 'title' end,
                  case when v.description <> b.description then 'description' end,
                  case when v.status <> b.status then 'status' end,
                  case when v.type <> b.type then 'type' end,
                  case when v.effort <> b.effort then 'effort' end,
                  case when v.created_at <> b.created_at then 'created_at' end,
                  case when v.author_id <> b.author_id then 'author_id' end,
                  case when v.tags <> g.tags then 'tags' end,
                  case when v.owner_id <> m.owner_id then 'owner_id' end,
                  case when v.estimated <> m.estimated then 'estimated' end,
                  -- Of what is known by a post it is known too that it was not merged, where none said so.
                  case when b.told > 0 and v.merged_into <> coalesce(m.merged_into, '') then 'merged_into' end
              ], null) as changed_fields,
              v.merged_into
         from {item_contents} v
         join {item_lifecycles} l on l.position = v.position and l.action = 'update'
        cross join lateral (
              select count(*) as told,
                     substr(max((c.key || c.title) collate "C"), 52) collate "default" as title,
                     substr(max((c.key || c.description) collate "C"), 52) collate "default" as description,
                     substr(max((c.key || c.status) collate "C"), 52) collate "default" as status,
                     substr(max((c.key || c.type) collate "C"), 52) collate "default" as type,
                     substr(max((c.key || c.effort::text) collate "C"), 52)::int as effort,
                     substr(max((c.key || c.created_at::text) collate "C"), 52)::timestamptz as created_at,
                     substr(max((c.key || c.author_id) collate "C"), 52) collate "default" as author_id
                from (
                     select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position) as key,
                            c.author_id, c.created_at, c.description, c.effort, c.status, c.title, c.type
                       from {item_contents} c
                      where c.product_id = v.product_id
                        and c.item_id = v.item_id
                        and (c.occurred_at, c.is_delete, c.updated_at, c.position)
                            < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                        and c.position < v.position
                        and c.occurred_at >= coalesce((
                                select o.occurred_at from {item_contents} o
                                 where o.product_id = v.product_id and o.item_id = v.item_id and o.complete
                                   and (o.occurred_at, o.is_delete, o.updated_at, o.position)
                                       < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                                   and o.position < v.position
                                order by o.occurred_at desc, o.is_delete desc, o.updated_at desc, o.position desc
                                limit 1
                           ), '-infinity')
                     offset 0
                     ) c
              ) b
         left join lateral (
              select substr(max((c.key || c.owner_id) collate "C"), 52) collate "default" as owner_id,
                     substr(max((c.key || c.estimated) collate "C"), 52) collate "default" as estimated,
                     substr(max((c.key || c.merged_into) collate "C"), 52) collate "default" as merged_into
                from (
                     select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position) as key,
                            c.owner_id, c.estimated, c.merged_into
                       from {item_contents} c
                      where c.product_id = v.product_id
                        and c.item_id = v.item_id
                        and (c.occurred_at, c.is_delete, c.updated_at, c.position)
                            < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                        and c.position < v.position
                        and coalesce(c.owner_id, c.estimated, c.merged_into) is not null
                     offset 0
                     ) c
              ) m on true
         left join lateral (
              select c.tags
                from {item_contents} c
               where c.product_id = v.product_id
                 and c.item_id = v.item_id
                 and (c.occurred_at, c.is_delete, c.updated_at, c.position)
                     < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                 and c.position < v.position
                 and c.tags is not null
               order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
               limit 1
              ) g on true
        where v.position > $1
          and v.position <= $2
          and ($1 > 0
               or (v.product_id, v.item_id) in (select c.product_id, c.item_id from {item_contents} c where not c.newest))
       ) s
 where f.position = s.position
   and s.changed_fields <> '{}';

-- name: settle.comment_edits
-- only with: comment.update
update {event_facts} f
   set changed_fields = s.changed_fields
  from (
       select v.position,
              array_remove(array[
                  case when v.item_id <> b.item_id then 'item_id' end,
                  case when v.author_id <> b.author_id then 'author_id' end,
                  case when v.body <> b.body then 'body' end,
                  case when v.status <> b.status then 'status' end,
                  case when v.type <> b.type then 'type' end,
                  case when v.likes <> b.likes then 'likes' end,
                  case when v.created_at <> b.created_at then 'created_at' end,
                  case when v.pinned <> b.pinned then 'pinned' end,
                  case when v.public <> b.public then 'public' end
              ], null) as changed_fields
         from {comment_versions} v
        cross join lateral (
              select substr(max((c.key || c.item_id) collate "C"), 52) collate "default" as item_id,
                     substr(max((c.key || c.author_id) collate "C"), 52) collate "default" as author_id,
                     substr(max((c.key || c.body) collate "C"), 52) collate "default" as body,
                     substr(max((c.key || c.status) collate "C"), 52) collate "default" as status,
                     substr(max((c.key || c.type) collate "C"), 52) collate "default" as type,
                     substr(max((c.key || c.likes::text) collate "C"), 52)::int as likes,
                     substr(max((c.key || c.created_at::text) collate "C"), 52)::timestamptz as created_at,
                     substr(max((c.key || c.pinned::text) collate "C"), 52)::boolean as pinned,
                     substr(max((c.key || c.public::text) collate "C"), 52)::boolean as public
                from (
                     select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position) as key,
                            c.author_id, c.body, c.created_at, c.item_id, c.likes, c.pinned, c.public, c.status, c.type
                       from {comment_versions} c
                      where c.product_id = v.product_id
                        and c.comment_id = v.comment_id
                        and (c.occurred_at, c.is_delete, c.updated_at, c.position)
                            < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                        and c.position < v.position
                     offset 0
                     ) c
              ) b
        where v.action = 'update'
          and v.position > $1
          and v.position <= $2
       ) s
 where f.position = s.position
   and s.changed_fields <> '{}';

-- name: settle.changelog_edits
-- only with: changelog.update
update {event_facts} f
   set changed_fields = s.changed_fields
  from (
       select v.position,
              array_remove(array[
                  case when v.title <> b.title then 'title' end,
                  case when v.description <> b.description then 'description' end,
                  case when v.type <> b.type then 'type' end,
                  case when v.segment <> b.segment then 'segment' end,
                  case when v.draft <> b.draft then 'draft' end,
                  case when v.announcement <> b.announcement then 'announcement' end,
                  case when v.scheduled_at <> b.scheduled_at then 'scheduled_at' end,
                  case when v.item_id <> b.item_id then 'item_id' end,
                  case when v.created_at <> b.created_at then 'created_at' end
              ], null) as changed_fields
         from {changelog_versions} v
        cross join lateral (
              select substr(max((c.key || c.title) collate "C"), 52) collate "default" as title,
                     substr(max((c.key || c.description) collate "C"), 52) collate "default" as description,
                     substr(max((c.key || c.type) collate "C"), 52) collate "default" as type,
                     substr(max((c.key || c.segment) collate "C"), 52) collate "default" as segment,
                     substr(max((c.key || c.draft::text) collate "C"), 52)::boolean as draft,
                     substr(max((c.key || c.announcement::text) collate "C"), 52)::boolean as announcement,
                     substr(max((c.key || c.scheduled_at::text) collate "C"), 52)::timestamptz as scheduled_at,
                     substr(max((c.key || c.item_id) collate "C"), 52) collate "default" as item_id,
                     substr(max((c.key || c.created_at::text) collate "C"), 52)::timestamptz as created_at
                from (
                     select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position) as key,
                            c.announcement, c.created_at, c.description, c.draft, c.item_id, c.scheduled_at,
                            c.segment, c.title, c.type
                       from {changelog_versions} c
                      where c.product_id = v.product_id
                        and c.changelog_id = v.changelog_id
                        and (c.occurred_at, c.is_delete, c.updated_at, c.position)
                            < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                        and c.position < v.position
                     offset 0
                     ) c
              ) b
        where v.action = 'update'
          and v.position > $1
          and v.position <= $2
       ) s
 where f.position = s.position
   and s.changed_fields <> '{}';

-- name: settle.user_edits
-- only with: user.update
update {event_facts} f
   set changed_fields = s.changed_fields
  from (
       select v.position,
              array_remove(array[
                  case when v.data_id <> b.data_id then 'data_id' end,
                  case when v.name <> b.name then 'name' end,
                  case when v.full_name <> b.full_name then 'full_name' end,
                  case when v.mail <> b.mail then 'mail' end,
                  case when v.img <> b.img then 'img' end,
                  case when v.admin_id <> b.admin_id then 'admin_id' end,
                  case when v.anonymous <> b.anonymous then 'anonymous' end,
                  case when to_jsonb(v.segments) <> b.segments then 'segments' end,
                  case when v.custom <> b.custom then 'custom' end,
                  case when v.system <> b.system then 'system' end,
                  case when v.weight <> b.weight then 'weight' end,
                  case when v.notify <> b.notify then 'notify' end,
                  case when v.stats <> b.stats then 'stats' end,
                  case when v.created_at <> b.created_at then 'created_at' end
              ], null) as changed_fields
         from {user_versions} v
        cross join lateral (
              select substr(max((c.key || c.data_id) collate "C"), 52) collate "default" as data_id,
                     substr(max((c.key || c.name) collate "C"), 52) collate "default" as name,
                     substr(max((c.key || c.full_name) collate "C"), 52) collate "default" as full_name,
                     substr(max((c.key || c.mail) collate "C"), 52) collate "default" as mail,
                     substr(max((c.key || c.img) collate "C"), 52) collate "default" as img,
                     substr(max((c.key || c.admin_id) collate "C"), 52) collate "default" as admin_id,
                     substr(max((c.key || c.anonymous::text) collate "C"), 52)::boolean as anonymous,
                     substr(max((c.key || to_jsonb(c.segments)::text) collate "C"), 52)::jsonb as segments,
                     substr(max((c.key || c.custom::text) collate "C"), 52)::jsonb as custom,
                     substr(max((c.key || c.system::text) collate "C"), 52)::jsonb as system,
                     substr(max((c.key || c.weight::text) collate "C"), 52)::int as weight,
                     substr(max((c.key || c.notify::text) collate "C"), 52)::jsonb as notify,
                     substr(max((c.key || c.stats::text) collate "C"), 52)::jsonb as stats,
                     substr(max((c.key || c.created_at::text) collate "C"), 52)::timestamptz as created_at
                from (
                     select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position) as key,
                            c.admin_id, c.anonymous, c.created_at, c.custom, c.data_id, c.full_name, c.img,
                            c.mail, c.name, c.notify, c.segments, c.stats, c.system, c.weight
                       from {user_versions} c
                      where c.product_id = v.product_id
                        and c.user_id = v.user_id
                        and (c.occurred_at, c.is_delete, c.updated_at, c.position)
                            < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                        and c.position < v.position
                     offset 0
                     ) c
              ) b
        where v.action = 'update'
          and v.position > $1
          and v.position <= $2
       ) s
 where f.position = s.position
   and s.changed_fields <> '{}';
