-- Subscriptions: who follows which item, as far as it was told. The newest event (by key) says whether they do; since when,
-- the newest that told it since they last began or stopped, or else when the newest event happened.

-- name: tables
create table {subscriptions} (
    product_id   bigint      not null,
    item_id      text        not null,
    subscriber   text        not null,
    user_id      text,
    active       boolean     not null,
    since        timestamptz not null,
    occurred_at  timestamptz not null,
    position     bigint      not null,
    told         text collate "C" not null
);
comment on column {subscriptions}.told is 'Key of the newest event: what a step compares the next one with.';

create table {subscription_versions} (
    product_id   bigint      not null,
    item_id      text        not null,
    subscriber   text        not null,
    user_id      text,
    occurred_at  timestamptz not null,
    is_delete    boolean     not null,
    updated_at   timestamptz not null,
    position     bigint      not null,
    newest       boolean     not null,
    active       boolean     not null,
    since        timestamptz
);

-- name: keys
alter table {subscriptions} add primary key (product_id, item_id, subscriber);

-- name: indexes
create index on {subscriptions} (product_id, user_id) where user_id is not null;
create unique index on {subscription_versions}
    (product_id, item_id, subscriber, occurred_at, is_delete, updated_at, position);
create index on {subscription_versions} (product_id, item_id, position);
create index on {subscription_versions} (product_id, user_id, position) where user_id is not null;
create index on {subscription_versions} (position);

-- name: apply.versions
-- only with: subscription
insert into {subscription_versions} (
    product_id, item_id, subscriber, user_id, occurred_at, is_delete, updated_at, position, newest, active, since
)
select w.product_id, w.item_id, w.subscriber, w.user_id, w.occurred_at, w.is_delete, w.updated_at, w.position,
       w.before is null or w.told > w.before, not w.is_delete, w.created_at
  from (
       select t.*,
              greatest(c.told, max(t.told) over (
                  partition by t.product_id, t.item_id, t.subscriber order by t.position
                  rows between unbounded preceding and 1 preceding
              )) collate "C" as before
         from (
              select h.product_id, h.item_id, coalesce(h.user_id, 'p' || h.position) as subscriber, h.user_id,
                     h.occurred_at, h.verb = 'delete' as is_delete, h.updated_at, h.position, h.created_at,
                     read_model.key(h.occurred_at, h.verb = 'delete', h.updated_at, h.position) collate "C" as told
                from {hot} h
               where h.entity = 'subscription'
                 and h.verb in ('create', 'update', 'delete')
                 and h.item_id is not null
              ) t
         left join {subscriptions} c
           on c.product_id = t.product_id and c.item_id = t.item_id and c.subscriber = t.subscriber
       ) w;

-- name: apply.current
-- only with: subscription
insert into {subscriptions} as c (
    product_id, item_id, subscriber, user_id, active, since, occurred_at, position, told
)
select distinct on (h.product_id, h.item_id, coalesce(h.user_id, 'p' || h.position))
       h.product_id, h.item_id, coalesce(h.user_id, 'p' || h.position), h.user_id,
       h.verb <> 'delete', coalesce(h.created_at, h.occurred_at), h.occurred_at, h.position,
       read_model.key(h.occurred_at, h.verb = 'delete', h.updated_at, h.position)
  from {hot} h
 where h.entity = 'subscription'
   and h.verb in ('create', 'update', 'delete')
   and h.item_id is not null
 order by h.product_id, h.item_id, coalesce(h.user_id, 'p' || h.position),
          h.occurred_at desc, h.verb = 'delete' desc, h.updated_at desc, h.position desc
    on conflict (product_id, item_id, subscriber) do update
   set active = excluded.active,
       since = excluded.since,
       occurred_at = excluded.occurred_at,
       position = excluded.position,
       told = excluded.told
 where c.told < excluded.told;

-- name: settle.since
-- only with: subscription
-- Where the newest event does not say since when.
update {subscriptions} c
   set since = s.since
  from (
       select t.product_id, t.item_id, t.subscriber, coalesce(o.since, v.occurred_at) as since
         from (
              select distinct r.product_id, r.item_id, r.subscriber
                from {subscription_versions} r
               where r.position > $1
                 and r.position <= $2
                 and exists (
                     select 1
                       from {subscription_versions} o
                      where o.product_id = r.product_id
                        and o.item_id = r.item_id
                        and o.subscriber = r.subscriber
                        and o.since is not null
                 )
              ) t
        cross join lateral (
              select r.active, r.since, r.occurred_at
                from {subscription_versions} r
               where r.product_id = t.product_id
                 and r.item_id = t.item_id
                 and r.subscriber = t.subscriber
               order by r.occurred_at desc, r.is_delete desc, r.updated_at desc, r.position desc
               limit 1
              ) v
         left join lateral (
              select o.since
                from {subscription_versions} o
               where o.product_id = t.product_id
                 and o.item_id = t.item_id
                 and o.subscriber = t.subscriber
                 and o.active = v.active
                 and o.since is not null
                 and not exists (
                     select 1
                       from {subscription_versions} x
                      where x.product_id = t.product_id
                        and x.item_id = t.item_id
                        and x.subscriber = t.subscriber
                        and x.active <> v.active
                        and (x.occurred_at, x.is_delete, x.updated_at, x.position)
                            > (o.occurred_at, o.is_delete, o.updated_at, o.position)
                 )
               order by o.occurred_at desc, o.is_delete desc, o.updated_at desc, o.position desc
               limit 1
              ) o on v.since is null
        where v.since is null
       ) s
 where c.product_id = s.product_id
   and c.item_id = s.item_id
   and c.subscriber = s.subscriber
   and c.since <> s.since;
