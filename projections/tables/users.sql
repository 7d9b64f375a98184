-- Users: merged from every event that mentions them, the newest told value of each field winning.

-- name: tables
create table {users} (
    product_id      bigint      not null,
    user_id         text        not null,
    data_id         text,
    name            text,
    full_name       text,
    mail            text,
    img             text,
    admin_id        text,
    anonymous       boolean,
    segments        text[],
    custom          jsonb,
    system          jsonb,
    weight          int,
    notify          jsonb,
    stats           jsonb,
    created_at      timestamptz,
    deleted         boolean     not null default false,
    deleted_at      timestamptz,
    erased          boolean     not null default false,
    first_seen_at   timestamptz not null,
    last_active_at  timestamptz,
    first_position  bigint      not null,
    position        bigint      not null,
    newest_mention  text collate "C"
) with (fillfactor = 85);
comment on column {users}.newest_mention is 'Key of the newest mention and its hash: what a step compares the next one with.';

create table {user_versions} (
    product_id   bigint      not null,
    user_id      text        not null,
    occurred_at  timestamptz not null,
    is_delete    boolean     not null,
    updated_at   timestamptz not null,
    position     bigint      not null,
    newest       boolean     not null,
    action       text,
    data_id      text,
    name         text,
    full_name    text,
    mail         text,
    img          text,
    admin_id     text,
    anonymous    boolean,
    segments     text[],
    custom       jsonb,
    system       jsonb,
    weight       int,
    notify       jsonb,
    stats        jsonb,
    created_at   timestamptz
);

create table {user_sightings} (
    product_id   bigint      not null,
    user_id      text        not null,
    occurred_at  timestamptz not null,
    is_delete    boolean     not null,
    updated_at   timestamptz not null,
    position     bigint      not null,
    newest       boolean     not null,
    said         boolean     not null,
    actor        boolean     not null,
    author       boolean     not null,
    content_hash bigint
);
comment on column {user_sightings}.said is 'Whether the event told more than the id.';
comment on column {user_sightings}.author is 'Whether the event told it as the post''s author.';

-- name: keys
alter table {users} add primary key (product_id, user_id);

-- name: indexes
create unique index on {user_versions} (user_id, product_id, occurred_at, is_delete, updated_at, position);
create index on {user_versions} (user_id, product_id, position);
create index on {user_versions} (position);
create unique index on {user_sightings} (user_id, product_id, occurred_at, position);
create index on {user_sightings} (position) where said and not newest;

-- name: lookups
-- What reads need of tables that `settle` writes: a rebuild makes these indexes last.
create index on {users} (product_id, last_active_at, user_id);
create index on {users} (product_id, first_seen_at, user_id);

-- name: apply.sightings
insert into {user_sightings} (
    product_id, user_id, occurred_at, is_delete, updated_at, position, newest, said, actor, author, content_hash
)
select product_id, user_id, occurred_at, is_delete, updated_at, position, newest, told is not null, actor, author,
       content_hash
  from {mentions};

-- name: apply.versions
-- only with: user told
-- What a mention told, only where it differs from the newest mention before. `late` adds those that came late.
insert into {user_versions} (
    product_id, user_id, occurred_at, is_delete, updated_at, position, newest, action,
    data_id, name, full_name, mail, img, admin_id, anonymous, segments, custom, system, weight, notify, stats, created_at
)
select m.product_id, m.user_id, m.occurred_at, m.is_delete, m.updated_at, m.position, m.newest, c.action,
       c.data_id, c.name, c.full_name, c.mail, c.img, c.admin_id, c.anonymous, c.segments, c.custom, c.system,
       c.weight, c.notify, c.stats, c.created_at
  from {mentions} m
  join log.events e on e.position = m.position and e.product_id = m.product_id
 cross join lateral read_model.user_content(e.entity, e.action, e.data, m.author) c
 where m.content_told
   and e.position > $1
   and e.position <= $2;

-- name: apply.users
insert into {users} as u (
    product_id, user_id, first_seen_at, last_active_at, first_position, position, newest_mention, erased
)
select m.product_id, m.user_id, m.first_seen_at, m.last_active_at, m.first_position, m.position, m.newest_mention,
       exists (select 1
                 from log.suppressions e
                where e.product_id = m.product_id
                  and e.user_id = m.user_id)
  from (
       select product_id, user_id, min(occurred_at) as first_seen_at,
              max(occurred_at) filter (where actor) as last_active_at,
              min(position) as first_position, max(position) as position, max(told) as newest_mention
         from {mentions}
        group by product_id, user_id
       ) m
    on conflict (product_id, user_id) do update
   set first_seen_at = least(u.first_seen_at, excluded.first_seen_at),
       last_active_at = greatest(u.last_active_at, excluded.last_active_at),
       position = excluded.position,
       newest_mention = greatest(u.newest_mention, excluded.newest_mention),
       erased = excluded.erased;

-- name: settle.late
-- only with: late mention
-- As with items: what a late mention told, unless the one before it told the same, and the one after it.
insert into {user_versions} (
    product_id, user_id, occurred_at, is_delete, updated_at, position, newest, action,
    data_id, name, full_name, mail, img, admin_id, anonymous, segments, custom, system, weight, notify, stats, created_at
)
select s.product_id, s.user_id, s.occurred_at, s.is_delete, s.updated_at, s.position, s.newest, c.action,
       c.data_id, c.name, c.full_name, c.mail, c.img, c.admin_id, c.anonymous, c.segments, c.custom, c.system,
       c.weight, c.notify, c.stats, c.created_at
  from (
       select distinct r.product_id, r.user_id, r.occurred_at, r.is_delete, r.updated_at, r.position, r.newest, r.author
         from {user_sightings} l
         left join lateral (
              select p.content_hash
                from {user_sightings} p
               where p.product_id = l.product_id
                 and p.user_id = l.user_id
                 and (p.occurred_at, p.is_delete, p.updated_at, p.position)
                     < (l.occurred_at, l.is_delete, l.updated_at, l.position)
                 and p.position < l.position
                 and p.said
               order by p.occurred_at desc, p.is_delete desc, p.updated_at desc, p.position desc
               limit 1
              ) p on true
        cross join lateral (
              select l.product_id, l.user_id, l.occurred_at, l.is_delete, l.updated_at, l.position, l.newest, l.author
              union all
              (select n.product_id, n.user_id, n.occurred_at, n.is_delete, n.updated_at, n.position, n.newest, n.author
                 from {user_sightings} n
                where n.product_id = l.product_id
                  and n.user_id = l.user_id
                  and (n.occurred_at, n.is_delete, n.updated_at, n.position)
                      > (l.occurred_at, l.is_delete, l.updated_at, l.position)
                  and n.position < l.position
                  and n.said
                order by n.occurred_at, n.is_delete, n.updated_at, n.position
                limit 1)
              ) r
        where l.said
          and not l.newest
          and l.position > $1
          and l.position <= $2
          and l.content_hash is distinct from p.content_hash
       ) s
  join log.events e on e.position = s.position and e.product_id = s.product_id
 cross join lateral read_model.user_content(e.entity, e.action, e.data, s.author) c
    on conflict (product_id, user_id, occurred_at, is_delete, updated_at, position) do nothing;

-- name: settle.current
-- only with: user told, late mention
-- Of the users of whom something new was told, each value from the newest version that told one: all arrays have one
-- order, so a version is sorted once. What was told in order lies over what is known; where some came late, a user is read
-- from the beginning.
update {users} u
   set data_id = coalesce(s.data_id, u.data_id),
       name = coalesce(s.name, u.name),
       full_name = coalesce(s.full_name, u.full_name),
       mail = coalesce(s.mail, u.mail),
       img = coalesce(s.img, u.img),
       admin_id = coalesce(s.admin_id, u.admin_id),
       anonymous = coalesce(s.anonymous, u.anonymous),
       segments = coalesce(read_model.text_list(s.segments), u.segments),
       custom = coalesce(s.custom, u.custom),
       system = coalesce(s.system, u.system),
       weight = coalesce(s.weight, u.weight),
       notify = coalesce(s.notify, u.notify),
       stats = coalesce(s.stats, u.stats),
       created_at = coalesce(s.created_at, u.created_at),
       deleted = coalesce(s.deleted, u.deleted),
       deleted_at = case when s.deleted is null then u.deleted_at when s.deleted then s.told_at end
  from (
       select c.product_id, c.user_id,
              (array_agg(c.data_id order by c.place) filter (where c.data_id is not null))[1] as data_id,
              (array_agg(c.name order by c.place) filter (where c.name is not null))[1] as name,
              (array_agg(c.full_name order by c.place) filter (where c.full_name is not null))[1] as full_name,
              (array_agg(c.mail order by c.place) filter (where c.mail is not null))[1] as mail,
              (array_agg(c.img order by c.place) filter (where c.img is not null))[1] as img,
              (array_agg(c.admin_id order by c.place) filter (where c.admin_id is not null))[1] as admin_id,
              (array_agg(c.anonymous order by c.place) filter (where c.anonymous is not null))[1] as anonymous,
              (array_agg(to_jsonb(c.segments) order by c.place) filter (where c.segments is not null))[1] as segments,
              (array_agg(c.custom order by c.place) filter (where c.custom is not null))[1] as custom,
              (array_agg(c.system order by c.place) filter (where c.system is not null))[1] as system,
              (array_agg(c.weight order by c.place) filter (where c.weight is not null))[1] as weight,
              (array_agg(c.notify order by c.place) filter (where c.notify is not null))[1] as notify,
              (array_agg(c.stats order by c.place) filter (where c.stats is not null))[1] as stats,
              (array_agg(c.created_at order by c.place) filter (where c.created_at is not null))[1] as created_at,
              (array_agg(c.action = 'delete' order by c.place) filter (where c.action is not null))[1] as deleted,
              (array_agg(c.occurred_at order by c.place) filter (where c.action is not null))[1] as told_at
         from (
              select v.product_id, v.user_id, v.occurred_at, v.action, v.data_id, v.name, v.full_name, v.mail, v.img,
                     v.admin_id, v.anonymous, v.segments, v.custom, v.system, v.weight, v.notify, v.stats, v.created_at,
                     row_number() over (
                         partition by v.user_id, v.product_id
                         order by v.occurred_at desc, v.is_delete desc, v.updated_at desc, v.position desc
                     ) as place
                from (
                     select product_id, user_id, case when bool_and(newest) then $1::bigint else 0 end as after
                       from {user_versions}
                      where position > $1
                        and position <= $2
                      group by product_id, user_id
                     ) t
                join {user_versions} v
                  on v.product_id = t.product_id and v.user_id = t.user_id and v.position > t.after
              ) c
        group by c.user_id, c.product_id
       ) s
 where s.product_id = u.product_id
   and s.user_id = u.user_id;
