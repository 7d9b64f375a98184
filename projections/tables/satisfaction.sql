-- Satisfaction: every CSAT answer. A newer answer of the same user within 30 days replaces the older one
-- upstream; here both stay, and which is superseded is computed on reading. When an answer was given is what the newest
-- event that told it says, or else when the newest happened that is no deletion.

-- name: tables
create table {satisfaction_answers} (
    product_id       bigint      not null,
    satisfaction_id  text        not null,
    user_id          text,
    score            smallint,
    comment          text,
    grp              text        not null,
    meta             jsonb,
    answered_at      timestamptz not null,
    deleted          boolean     not null,
    deleted_at       timestamptz,
    occurred_at      timestamptz not null,
    position         bigint      not null
);

create table {satisfaction_versions} (
    product_id       bigint      not null,
    satisfaction_id  text        not null,
    occurred_at      timestamptz not null,
    is_delete        boolean     not null,
    updated_at       timestamptz not null,
    position         bigint      not null,
    user_id          text,
    score            smallint,
    comment          text,
    grp              text,
    meta             jsonb,
    answered_at      timestamptz
);

-- name: keys
alter table {satisfaction_answers} add primary key (product_id, satisfaction_id);

-- name: indexes
create unique index on {satisfaction_versions}
    (product_id, satisfaction_id, occurred_at, is_delete, updated_at, position);
create index on {satisfaction_versions} (product_id, user_id, answered_at);
create index on {satisfaction_versions} (position);

-- name: lookups
-- What reads need of tables that `settle` writes: a rebuild makes these indexes last.
create index on {satisfaction_answers} (product_id, user_id, answered_at);
create index on {satisfaction_answers} (product_id, grp, answered_at, satisfaction_id);

-- name: apply.versions
-- only with: satisfaction
-- An answer without an id is the event's own: 'p' and its position.
insert into {satisfaction_versions} (
    product_id, satisfaction_id, occurred_at, is_delete, updated_at, position,
    user_id, score, comment, grp, meta, answered_at
)
select s.product_id, coalesce(s.satisfaction_id, 'p' || s.position), s.occurred_at, s.is_delete, s.updated_at, s.position,
       s.user_id, case when s.score between 1 and 5 then s.score end, s.comment, s.grp, s.meta,
       case when s.updated_at > '-infinity' then s.updated_at else s.created_at end
  from (
       select h.product_id,
              coalesce(read_model.id_of(h.data ->> 'satisfaction_id'), read_model.id_of(h.data ->> 'id')) as satisfaction_id,
              h.occurred_at,
              h.verb = 'delete' as is_delete,
              h.updated_at, h.position, h.user_id,
              read_model.int_of(h.vote) as score,
              h.data ->> 'comment' as comment,
              -- What is written as `data` is read as `data_record`.
              coalesce(
                  case when jsonb_typeof(h.data -> 'data') in ('string', 'number') and length(h.data ->> 'data') <= 200
                       then nullif(h.data ->> 'data', '') end,
                  case when jsonb_typeof(h.data -> 'data_record') in ('string', 'number')
                        and length(h.data ->> 'data_record') <= 200
                       then nullif(h.data ->> 'data_record', '') end
              ) as grp,
              read_model.object_of(h.data -> 'meta') as meta,
              h.created_at
         from {hot} h
        where h.entity = 'satisfaction'
          and h.verb in ('create', 'update', 'delete')
       ) s;

-- name: settle.current
-- only with: satisfaction
insert into {satisfaction_answers} as c (
    product_id, satisfaction_id, user_id, score, comment, grp, meta, answered_at, deleted, deleted_at, occurred_at, position
)
select t.product_id, t.satisfaction_id, v.user_id, v.score, v.comment, coalesce(v.grp, 'default'), v.meta,
       coalesce(v.answered_at, v.given_at, v.occurred_at), l.is_delete, case when l.is_delete then l.occurred_at end,
       v.occurred_at, v.position
  from (
       select distinct product_id, satisfaction_id
         from {satisfaction_versions}
        where position > $1
          and position <= $2
       ) t
 cross join lateral (
       select substr(max((c.key || c.user_id) collate "C"), 52) as user_id,
              substr(max((c.key || c.score::text) collate "C"), 52)::smallint as score,
              substr(max((c.key || c.comment) collate "C"), 52) as comment,
              substr(max((c.key || c.grp) collate "C"), 52) as grp,
              substr(max((c.key || c.meta::text) collate "C"), 52)::jsonb as meta,
              substr(max((c.key || c.answered_at::text) collate "C"), 52)::timestamptz as answered_at,
              substr(max((c.key || c.occurred_at::text) collate "C") filter (where not c.is_delete), 52)::timestamptz
                  as given_at,
              max(c.occurred_at) as occurred_at,
              max(c.position) as position
         from (
              select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position) as key,
                     c.answered_at, c.comment, c.grp, c.is_delete, c.meta, c.occurred_at, c.position, c.score, c.user_id
                from {satisfaction_versions} c
               where c.product_id = t.product_id
                 and c.satisfaction_id = t.satisfaction_id
              offset 0
              ) c
       ) v
 cross join lateral (
       select c.is_delete, c.occurred_at
         from {satisfaction_versions} c
        where c.product_id = t.product_id
          and c.satisfaction_id = t.satisfaction_id
        order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
        limit 1
       ) l
    on conflict (product_id, satisfaction_id) do update
   set user_id = excluded.user_id,
       score = excluded.score,
       comment = excluded.comment,
       grp = excluded.grp,
       meta = excluded.meta,
       answered_at = excluded.answered_at,
       deleted = excluded.deleted,
       deleted_at = excluded.deleted_at,
       occurred_at = excluded.occurred_at,
       position = excluded.position;
