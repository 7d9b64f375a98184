-- Comments: how each is now, and what every comment event said of it.

-- name: tables
create table {comments} (
    product_id   bigint      not null,
    comment_id   text        not null,
    item_id      text,
    author_id    text,
    parent_id    text,
    body         text,
    status       text,
    type         text,
    likes        int,
    pinned       boolean,
    public       boolean,
    private      boolean     generated always as (public is false) stored,
    created_at   timestamptz,
    updated_at   timestamptz,
    deleted      boolean     not null,
    deleted_at   timestamptz,
    occurred_at  timestamptz not null,
    position     bigint      not null,
    search       tsvector generated always as (
        to_tsvector('simple', read_model.searched(left(coalesce(body, ''), 100000)))
    ) stored
);

create table {comment_versions} (
    product_id   bigint      not null,
    comment_id   text        not null,
    occurred_at  timestamptz not null,
    is_delete    boolean     not null,
    updated_at   timestamptz not null,
    position     bigint      not null,
    newest       boolean     not null,
    complete     boolean     not null,
    action       text,
    item_id      text,
    author_id    text,
    body         text,
    status       text,
    type         text,
    likes        int,
    created_at   timestamptz,
    parent_id    text,
    pinned       boolean,
    public       boolean
);
comment on column {comment_versions}.complete is 'Whether it says all but `parent_id`, `pinned` and `public`, which whole comments may leave out.';

-- name: keys
alter table {comments} add primary key (product_id, comment_id);
-- Whether a comment event is the newest is asked of the versions themselves.
create unique index on {comment_versions} (product_id, comment_id, occurred_at, is_delete, updated_at, position);

-- name: indexes
create index on {comment_versions} (product_id, item_id, position);
create index on {comment_versions} (product_id, comment_id, position) where newest;
create index on {comment_versions} (position);
create index on {comment_versions} (product_id, comment_id) where public is false;

-- name: lookups
-- What reads need of tables that `settle` writes: a rebuild makes these indexes last.
create index on {comments} (product_id, item_id, created_at, comment_id);
create index on {comments} (product_id, author_id, created_at);
create index on {comments} (product_id, created_at, comment_id);
create index on {comments} using gin (search);

-- name: apply.versions
-- only with: comment
insert into {comment_versions} (
    product_id, comment_id, occurred_at, is_delete, updated_at, position, newest, complete,
    action, item_id, author_id, body, status, type, likes, created_at, parent_id, pinned, public
)
select w.product_id, w.comment_id, w.occurred_at, w.is_delete, w.updated_at, w.position,
       w.before is null or w.told > w.before,
       num_nulls(w.item_id, w.author_id, w.body, w.status, w.type, w.likes, w.created_at) = 0
           and w.updated_at > '-infinity',
       w.action, w.item_id, w.author_id, w.body, w.status, w.type, w.likes, w.created_at,
       w.parent_id, w.pinned, w.public
  from (
       select t.*,
              greatest(c.told, max(t.told) over (
                  partition by t.product_id, t.comment_id order by t.position
                  rows between unbounded preceding and 1 preceding
              )) collate "C" as before
         from (
              select s.*,
                     read_model.key(s.occurred_at, s.is_delete, s.updated_at, s.position) collate "C" as told
                from (
                     select h.product_id, h.position, h.occurred_at, h.updated_at, h.item_id,
                            h.verb = 'delete' as is_delete,
                            case when h.verb in ('create', 'update', 'delete') then h.verb end as action,
                            h.user_id as author_id,
                            c.comment_id, c.body, c.status, c.type, c.likes, c.created_at, c.parent_id, c.pinned, c.public
                       from {hot} h
                      cross join lateral read_model.comment_content(h.data) c
                      where h.entity = 'comment'
                     ) s
               where s.comment_id is not null
              ) t
         left join lateral (
              select read_model.key(v.occurred_at, v.is_delete, v.updated_at, v.position) collate "C" as told
                from {comment_versions} v
               where v.product_id = t.product_id
                 and v.comment_id = t.comment_id
               order by v.occurred_at desc, v.is_delete desc, v.updated_at desc, v.position desc
               limit 1
              ) c on true
       ) w;

-- name: settle.current
-- only with: comment
insert into {comments} as c (
    product_id, comment_id, item_id, author_id, parent_id, body, status, type, likes, pinned, public, created_at, updated_at,
    deleted, deleted_at, occurred_at, position
)
select t.product_id, t.comment_id, v.item_id, v.author_id, v.parent_id, v.body, v.status, v.type, v.likes, v.pinned, v.public,
       v.created_at, v.updated_at,
       coalesce(l.deleted, false), case when l.deleted then l.occurred_at end, v.occurred_at, v.position
  from (
       select distinct product_id, comment_id
         from {comment_versions}
        where position > $1
          and position <= $2
       ) t
 cross join lateral (
       select substr(max((c.key || c.item_id) collate "C"), 52) as item_id,
              substr(max((c.key || c.author_id) collate "C"), 52) as author_id,
              substr(max((c.key || c.parent_id) collate "C"), 52) as parent_id,
              substr(max((c.key || c.body) collate "C"), 52) as body,
              substr(max((c.key || c.status) collate "C"), 52) as status,
              substr(max((c.key || c.type) collate "C"), 52) as type,
              substr(max((c.key || c.likes::text) collate "C"), 52)::int as likes,
              substr(max((c.key || c.pinned::text) collate "C"), 52)::boolean as pinned,
              substr(max((c.key || c.public::text) collate "C"), 52)::boolean as public,
              substr(max((c.key || c.created_at::text) collate "C"), 52)::timestamptz as created_at,
              substr(max((c.key || nullif(c.updated_at, '-infinity')::text) collate "C"), 52)::timestamptz as updated_at,
              max(c.occurred_at) as occurred_at, max(c.position) as position
         from (
              select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position) as key,
                     c.author_id, c.body, c.created_at, c.item_id, c.likes, c.occurred_at, c.parent_id, c.pinned,
                     c.position, c.public, c.status, c.type, c.updated_at
                from {comment_versions} c
               where c.product_id = t.product_id
                 and c.comment_id = t.comment_id
              offset 0
              ) c
       ) v
  left join lateral (
       select c.action = 'delete' as deleted, c.occurred_at
         from {comment_versions} c
        where c.product_id = t.product_id
          and c.comment_id = t.comment_id
          and c.action is not null
        order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
        limit 1
       ) l on true
    on conflict (product_id, comment_id) do update
   set item_id = excluded.item_id,
       author_id = excluded.author_id,
       parent_id = excluded.parent_id,
       body = excluded.body,
       status = excluded.status,
       type = excluded.type,
       likes = excluded.likes,
       pinned = excluded.pinned,
       public = excluded.public,
       created_at = excluded.created_at,
       updated_at = excluded.updated_at,
       deleted = excluded.deleted,
       deleted_at = excluded.deleted_at,
       occurred_at = excluded.occurred_at,
       position = excluded.position;
