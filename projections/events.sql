-- What each event is, in the words of the GraphQL schema, and whom and what it is about; for an edit also
-- which fields it changed, compared with what was known of the entity before it when it came.

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
    erased            boolean     not null
);
comment on column {event_facts}.user_id is 'Who did it, as far as it was told.';
comment on column {event_facts}.changed_fields is 'Null unless the event is an edit; fields whose value was known before and differs.';

-- name: indexes
alter table {event_facts} add primary key (position);
create index on {event_facts} (product_id, position);
create index on {event_facts} (product_id, item_id, position) where item_id is not null;
create index on {event_facts} (product_id, user_id, position) where user_id is not null;
create index on {event_facts} (product_id, type, position);
create index on {event_facts} (product_id, occurred_at);
create index on {event_facts} (recorded_at, position);

-- name: apply.facts
insert into {event_facts} (
    position, product_id, action, type, entity, entity_id, item_id, user_id, comment_id, changelog_id, satisfaction_id,
    origin, occurred_at, occurred_assumed, recorded_at, changed_fields, erased
)
select h.position, h.product_id, h.action,
       case
           when h.entity = 'vote' then case
               when h.verb = 'delete' or read_model.int_of(h.vote) = 0 then 'VOTE_WITHDRAWN'
               when b.newest and b.value is not null
                    and nullif(substr(b.before, 53), '')::int <> b.value then 'VOTE_CHANGED'
               else 'VOTE_CAST' end
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
       case when h.entity in ('user', 'vote', 'subscription', 'comment', 'satisfaction')
                 or h.action = 'changelog.subscribe' then h.user_id
            when h.action = 'item.create' then h.author_id end,
       d.comment_id, d.changelog_id, d.satisfaction_id,
       h.origin, h.occurred_at, h.occurred_assumed, h.recorded_at,
       case when h.action in ('item.update', 'comment.update', 'changelog.update', 'user.update') then '{}'::text[] end,
       h.erased
  from {hot} h
  left join {ballots} b on b.position = h.position
 cross join lateral (
       select case when h.entity = 'comment' then coalesce(
                  read_model.id_of(h.data ->> 'comment_id'), read_model.id_of(h.data ->> 'id')) end as comment_id,
              case when h.entity = 'changelog' then coalesce(
                  read_model.id_of(h.data ->> 'changelog_id'), read_model.id_of(h.data ->> 'id')) end as changelog_id,
              case when h.entity = 'satisfaction' then coalesce(
                  read_model.id_of(h.data ->> 'satisfaction_id'), read_model.id_of(h.data ->> 'id'),
                  'p' || h.position) end as satisfaction_id
       ) d;

-- name: settle.late_votes
-- A vote that came late changed what was the newest before it by key, not by arrival.
update {event_facts} f
   set type = 'VOTE_CHANGED'
  from (
       select v.position
         from {vote_versions} v
        cross join lateral (
              select b.value
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
        where not v.newest
          and not v.withdrawn
          and v.position > $1
          and v.position <= $2
          and p.value <> v.value
       ) s
 where f.position = s.position;

-- name: settle.item_edits
update {event_facts} f
   set changed_fields = s.changed_fields,
       type = case when 'status' = any (s.changed_fields) then 'ITEM_STATUS_CHANGED' else f.type end
  from (
       select v.position,
              array_remove(array[
                  case when v.title <> b.title then 'title' end,
                  case when v.description <> b.description then 'description' end,
                  case when v.status <> b.status then 'status' end,
                  case when v.type <> b.type then 'type' end,
                  case when v.effort <> b.effort then 'effort' end,
                  case when v.created_at <> b.created_at then 'created_at' end,
                  case when v.author_id <> b.author_id then 'author_id' end
              ], null) as changed_fields
         from {item_contents} v
         join {item_lifecycles} l on l.position = v.position and l.action = 'update'
        cross join lateral (
              select (array_agg(c.title order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.title is not null))[1] as title,
                     (array_agg(c.description order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.description is not null))[1] as description,
                     (array_agg(c.status order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.status is not null))[1] as status,
                     (array_agg(c.type order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.type is not null))[1] as type,
                     (array_agg(c.effort order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.effort is not null))[1] as effort,
                     (array_agg(c.created_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.created_at is not null))[1] as created_at,
                     (array_agg(c.author_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.author_id is not null))[1] as author_id
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
              ) b
        where v.position > $1
          and v.position <= $2
       ) s
 where f.position = s.position
   and s.changed_fields <> '{}';

-- name: settle.comment_edits
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
                  case when v.created_at <> b.created_at then 'created_at' end
              ], null) as changed_fields
         from {comment_versions} v
        cross join lateral (
              select (array_agg(c.item_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.item_id is not null))[1] as item_id,
                     (array_agg(c.author_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.author_id is not null))[1] as author_id,
                     (array_agg(c.body order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.body is not null))[1] as body,
                     (array_agg(c.status order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.status is not null))[1] as status,
                     (array_agg(c.type order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.type is not null))[1] as type,
                     (array_agg(c.likes order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.likes is not null))[1] as likes,
                     (array_agg(c.created_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.created_at is not null))[1] as created_at
                from {comment_versions} c
               where c.product_id = v.product_id
                 and c.comment_id = v.comment_id
                 and (c.occurred_at, c.is_delete, c.updated_at, c.position)
                     < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                 and c.position < v.position
              ) b
        where v.action = 'update'
          and v.position > $1
          and v.position <= $2
       ) s
 where f.position = s.position
   and s.changed_fields <> '{}';

-- name: settle.changelog_edits
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
              select (array_agg(c.title order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.title is not null))[1] as title,
                     (array_agg(c.description order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.description is not null))[1] as description,
                     (array_agg(c.type order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.type is not null))[1] as type,
                     (array_agg(c.segment order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.segment is not null))[1] as segment,
                     (array_agg(c.draft order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.draft is not null))[1] as draft,
                     (array_agg(c.announcement order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.announcement is not null))[1] as announcement,
                     (array_agg(c.scheduled_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.scheduled_at is not null))[1] as scheduled_at,
                     (array_agg(c.item_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.item_id is not null))[1] as item_id,
                     (array_agg(c.created_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.created_at is not null))[1] as created_at
                from {changelog_versions} c
               where c.product_id = v.product_id
                 and c.changelog_id = v.changelog_id
                 and (c.occurred_at, c.is_delete, c.updated_at, c.position)
                     < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                 and c.position < v.position
              ) b
        where v.action = 'update'
          and v.position > $1
          and v.position <= $2
       ) s
 where f.position = s.position
   and s.changed_fields <> '{}';

-- name: settle.user_edits
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
              select (array_agg(c.data_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.data_id is not null))[1] as data_id,
                     (array_agg(c.name order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.name is not null))[1] as name,
                     (array_agg(c.full_name order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.full_name is not null))[1] as full_name,
                     (array_agg(c.mail order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.mail is not null))[1] as mail,
                     (array_agg(c.img order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.img is not null))[1] as img,
                     (array_agg(c.admin_id order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.admin_id is not null))[1] as admin_id,
                     (array_agg(c.anonymous order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.anonymous is not null))[1] as anonymous,
                     (array_agg(to_jsonb(c.segments) order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.segments is not null))[1] as segments,
                     (array_agg(c.custom order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.custom is not null))[1] as custom,
                     (array_agg(c.system order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.system is not null))[1] as system,
                     (array_agg(c.weight order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.weight is not null))[1] as weight,
                     (array_agg(c.notify order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.notify is not null))[1] as notify,
                     (array_agg(c.stats order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.stats is not null))[1] as stats,
                     (array_agg(c.created_at order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc)
                          filter (where c.created_at is not null))[1] as created_at
                from {user_versions} c
               where c.product_id = v.product_id
                 and c.user_id = v.user_id
                 and (c.occurred_at, c.is_delete, c.updated_at, c.position)
                     < (v.occurred_at, v.is_delete, v.updated_at, v.position)
                 and c.position < v.position
              ) b
        where v.action = 'update'
          and v.position > $1
          and v.position <= $2
       ) s
 where f.position = s.position
   and s.changed_fields <> '{}';
