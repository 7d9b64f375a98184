-- The changelog: its entries, what every event said of them, and who subscribed to it.

-- name: tables
create table {changelog_entries} (
    product_id    bigint      not null,
    changelog_id  text        not null,
    title         text,
    description   text,
    type          text,
    segment       text,
    draft         boolean,
    announcement  boolean,
    scheduled_at  timestamptz,
    item_id       text,
    created_at    timestamptz,
    updated_at    timestamptz,
    published_at  timestamptz,
    deleted       boolean     not null,
    deleted_at    timestamptz,
    occurred_at   timestamptz not null,
    position      bigint      not null
);

create table {changelog_versions} (
    product_id    bigint      not null,
    changelog_id  text        not null,
    occurred_at   timestamptz not null,
    is_delete     boolean     not null,
    updated_at    timestamptz not null,
    position      bigint      not null,
    newest        boolean     not null,
    action        text,
    title         text,
    description   text,
    type          text,
    segment       text,
    draft         boolean,
    announcement  boolean,
    scheduled_at  timestamptz,
    item_id       text,
    created_at    timestamptz
);

create table {changelog_subscribers} (
    product_id   bigint      not null,
    subscriber   text        not null,
    user_id      text,
    active       boolean     not null,
    since        timestamptz not null,
    occurred_at  timestamptz not null,
    position     bigint      not null,
    told         text collate "C" not null
);

create table {changelog_subscriber_versions} (
    product_id   bigint      not null,
    subscriber   text        not null,
    user_id      text,
    occurred_at  timestamptz not null,
    is_delete    boolean     not null,
    updated_at   timestamptz not null,
    position     bigint      not null,
    active       boolean     not null,
    since        timestamptz not null
);

-- name: keys
alter table {changelog_entries} add primary key (product_id, changelog_id);
alter table {changelog_subscribers} add primary key (product_id, subscriber);
-- Whether an event is the newest of its entry is asked of the versions themselves.
create unique index on {changelog_versions} (product_id, changelog_id, occurred_at, is_delete, updated_at, position);

-- name: indexes
create index on {changelog_versions} (product_id, changelog_id, position) where newest;
create index on {changelog_versions} (position);
create unique index on {changelog_subscriber_versions}
    (product_id, subscriber, occurred_at, is_delete, updated_at, position);

-- name: lookups
-- What reads need of tables that `settle` writes: a rebuild makes these indexes last.
create index on {changelog_entries} (product_id, item_id) where item_id is not null;
create index on {changelog_entries} (product_id, published_at, changelog_id);

-- name: apply.versions
-- only with: changelog, changelog_subscriber
insert into {changelog_versions} (
    product_id, changelog_id, occurred_at, is_delete, updated_at, position, newest, action,
    title, description, type, segment, draft, announcement, scheduled_at, item_id, created_at
)
select w.product_id, w.changelog_id, w.occurred_at, w.is_delete, w.updated_at, w.position,
       w.before is null or w.told > w.before, w.action,
       w.title, w.description, w.type, w.segment, w.draft, w.announcement, w.scheduled_at, w.item_id, w.created_at
  from (
       select t.*,
              greatest(c.told, max(t.told) over (
                  partition by t.product_id, t.changelog_id order by t.position
                  rows between unbounded preceding and 1 preceding
              )) collate "C" as before
         from (
              select s.product_id, s.changelog_id, s.occurred_at, s.is_delete, s.updated_at, s.position, s.item_id,
                     case when s.verb in ('create', 'update', 'delete') then s.verb end as action,
                     s.title, s.description, s.type, s.segment, s.draft, s.announcement, s.scheduled_at, s.created_at,
                     read_model.key(s.occurred_at, s.is_delete, s.updated_at, s.position) collate "C" as told
                from (
                     select h.product_id, h.position, h.occurred_at, h.updated_at, h.item_id, h.verb,
                            h.verb = 'delete' as is_delete,
                            c.changelog_id, c.title, c.description, c.type, c.segment, c.draft, c.announcement,
                            c.scheduled_at, c.created_at
                       from {hot} h
                      cross join lateral read_model.changelog_content(h.data) c
                      where h.entity = 'changelog'
                        and h.verb not in ('subscribe', 'unsubscribe')
                     ) s
               where s.changelog_id is not null
              ) t
         left join lateral (
              select read_model.key(v.occurred_at, v.is_delete, v.updated_at, v.position) collate "C" as told
                from {changelog_versions} v
               where v.product_id = t.product_id
                 and v.changelog_id = t.changelog_id
               order by v.occurred_at desc, v.is_delete desc, v.updated_at desc, v.position desc
               limit 1
              ) c on true
       ) w;

-- name: apply.subscriber_versions
-- only with: changelog, changelog_subscriber
insert into {changelog_subscriber_versions} (
    product_id, subscriber, user_id, occurred_at, is_delete, updated_at, position, active, since
)
select h.product_id, coalesce(h.user_id, 'p' || h.position), h.user_id, h.occurred_at, h.verb = 'unsubscribe',
       h.updated_at, h.position, h.verb = 'subscribe', h.occurred_at
  from {hot} h
 where h.action in ('changelog.subscribe', 'changelog.unsubscribe');

-- name: apply.subscribers
-- only with: changelog, changelog_subscriber
insert into {changelog_subscribers} as c (
    product_id, subscriber, user_id, active, since, occurred_at, position, told
)
select distinct on (h.product_id, coalesce(h.user_id, 'p' || h.position))
       h.product_id, coalesce(h.user_id, 'p' || h.position), h.user_id,
       h.verb = 'subscribe', h.occurred_at, h.occurred_at, h.position,
       read_model.key(h.occurred_at, h.verb = 'unsubscribe', h.updated_at, h.position)
  from {hot} h
 where h.action in ('changelog.subscribe', 'changelog.unsubscribe')
 order by h.product_id, coalesce(h.user_id, 'p' || h.position),
          h.occurred_at desc, h.verb = 'unsubscribe' desc, h.updated_at desc, h.position desc
    on conflict (product_id, subscriber) do update
   set active = excluded.active,
       since = excluded.since,
       occurred_at = excluded.occurred_at,
       position = excluded.position,
       told = excluded.told
 where c.told < excluded.told;

-- name: settle.current
-- only with: changelog, changelog_subscriber
-- An entry is announced when it is published, so its first event is its publication, unless it was
-- scheduled for another moment, or told as a draft: then it is when it first was none any more.
insert into {changelog_entries} as c (
    product_id, changelog_id, title, description, type, segment, draft, announcement, scheduled_at, item_id,
    created_at, updated_at, published_at, deleted, deleted_at, occurred_at, position
)
select t.product_id, t.changelog_id, v.title, v.description, v.type, v.segment, v.draft, v.announcement,
       v.scheduled_at, v.item_id, v.created_at, v.updated_at,
       case when v.draft then null
            else coalesce(greatest(v.scheduled_at, finished.at), v.first_told_at, v.created_at) end,
       coalesce(l.deleted, false), case when l.deleted then l.occurred_at end, v.occurred_at, v.position
  from (
       select distinct product_id, changelog_id
         from {changelog_versions}
        where position > $1
          and position <= $2
       ) t
 cross join lateral (
       select substr(max((c.key || c.title) collate "C"), 52) as title,
              substr(max((c.key || c.description) collate "C"), 52) as description,
              substr(max((c.key || c.type) collate "C"), 52) as type,
              substr(max((c.key || c.segment) collate "C"), 52) as segment,
              substr(max((c.key || c.draft::text) collate "C"), 52)::boolean as draft,
              substr(max((c.key || c.announcement::text) collate "C"), 52)::boolean as announcement,
              substr(max((c.key || c.scheduled_at::text) collate "C"), 52)::timestamptz as scheduled_at,
              substr(max((c.key || c.item_id) collate "C"), 52) as item_id,
              substr(max((c.key || c.created_at::text) collate "C"), 52)::timestamptz as created_at,
              substr(max((c.key || nullif(c.updated_at, '-infinity')::text) collate "C"), 52)::timestamptz as updated_at,
              min(c.occurred_at) filter (where c.action = 'create') as first_told_at,
              max(c.occurred_at) as occurred_at,
              max(c.position) as position
         from (
              select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position) as key,
                     c.action, c.announcement, c.created_at, c.description, c.draft, c.item_id, c.occurred_at,
                     c.position, c.scheduled_at, c.segment, c.title, c.type, c.updated_at
                from {changelog_versions} c
               where c.product_id = t.product_id
                 and c.changelog_id = t.changelog_id
              offset 0
              ) c
       ) v
  left join lateral (
       select c.action = 'delete' as deleted, c.occurred_at
         from {changelog_versions} c
        where c.product_id = t.product_id
          and c.changelog_id = t.changelog_id
          and c.action is not null
        order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
        limit 1
       ) l on true
  left join lateral (
       select c.occurred_at as at
         from {changelog_versions} c
        where c.product_id = t.product_id
          and c.changelog_id = t.changelog_id
          and not c.draft
          and (c.occurred_at, c.is_delete, c.updated_at, c.position) > (
              select d.occurred_at, d.is_delete, d.updated_at, d.position
                from {changelog_versions} d
               where d.product_id = t.product_id
                 and d.changelog_id = t.changelog_id
                 and d.draft
               order by d.occurred_at desc, d.is_delete desc, d.updated_at desc, d.position desc
               limit 1)
        order by c.occurred_at, c.is_delete, c.updated_at, c.position
        limit 1
       ) finished on true
    on conflict (product_id, changelog_id) do update
   set title = excluded.title,
       description = excluded.description,
       type = excluded.type,
       segment = excluded.segment,
       draft = excluded.draft,
       announcement = excluded.announcement,
       scheduled_at = excluded.scheduled_at,
       item_id = excluded.item_id,
       created_at = excluded.created_at,
       updated_at = excluded.updated_at,
       published_at = excluded.published_at,
       deleted = excluded.deleted,
       deleted_at = excluded.deleted_at,
       occurred_at = excluded.occurred_at,
       position = excluded.position;
