-- Items: how each is now, and every post object that said something about it.
--
-- A row of item_counts or item_contents is what one event said (an observation), not the state after it:
-- so a late event adds its own row and rewrites nothing, and any order of arrival gives the same rows.
-- A read at (position, time) takes the newest row by key and fills what that row did not say from the
-- newest one that did.

-- name: tables
create table {item_states} (
    product_id        bigint      not null,
    item_id           text        not null,
    title             text,
    status            text,
    type              text,
    effort            int,
    tags              text[],
    owner_id          text,
    estimated         text,
    merged_into       text,
    scoring           float8,
    trend             float8,
    ratio             float8,
    votes_up          int,
    votes_down        int,
    votes_net         int generated always as (votes_up - coalesce(votes_down, 0)) stored,
    total_sum         int,
    comments          int,
    subscribers       int,
    created_at        timestamptz,
    updated_at        timestamptz,
    author_id         text,
    deleted           boolean     not null default false,
    deleted_at        timestamptz,
    status_since      timestamptz,
    first_seen_at     timestamptz not null,
    last_activity_at  timestamptz,
    first_position    bigint      not null,
    position          bigint      not null,
    events            int         not null,
    known_up          int         not null default 0,
    known_down        int         not null default 0,
    heard_up          int         not null default 0,
    heard_down        int         not null default 0,
    votes_most        bigint,
    newest_post       text collate "C",
    incomplete        boolean     not null default false,
    noted             boolean     not null default false
) with (fillfactor = 80);
comment on column {item_states}.incomplete is 'Whether the newest post did not tell all totals: some are an older one''s.';
comment on column {item_states}.heard_up is 'Of the known votes those that were delivered; what was fetched explains no change of a total.';
comment on column {item_states}.noted is 'Whether a private note is or was about it, so that what its events come to depends on who asks.';
comment on column {item_states}.votes_most is 'No less than its net votes at any moment; 2^63 - 1 where one of both totals came alone.';
comment on column {item_states}.newest_post is 'Key of the newest post, its content''s hash and drift: what a step compares the next post with.';

-- What every vote and comment would write again, were it in the row of their item.
create table {item_texts} (
    product_id   bigint   not null,
    item_id      text     not null,
    description  text,
    search       tsvector not null
);

create table {item_counts} (
    product_id   bigint      not null,
    item_id      text        not null,
    occurred_at  timestamptz not null,
    is_delete    boolean     not null,
    updated_at   timestamptz not null,
    position     bigint      not null,
    newest       boolean     not null,
    complete     boolean     not null,
    content_hash bigint      not null,
    votes_up     int,
    votes_down   int,
    total_sum    int,
    comments     int,
    subscribers  int,
    trend        float8,
    scoring      float8,
    ratio        float8
);

create table {item_contents} (
    product_id   bigint      not null,
    item_id      text        not null,
    occurred_at  timestamptz not null,
    is_delete    boolean     not null,
    updated_at   timestamptz not null,
    position     bigint      not null,
    newest       boolean     not null,
    again        boolean     not null default false,
    complete     boolean     not null,
    title        text,
    description  text,
    status       text,
    type         text,
    effort       int,
    created_at   timestamptz,
    author_id    text,
    tags         text[],
    owner_id     text,
    estimated    text,
    merged_into  text
);

comment on column {item_contents}.complete is 'Whether it says all but `tags` and what follows, which whole posts leave out as well.';
comment on column {item_contents}.owner_id is 'Empty where it is told that nobody owns it.';
comment on column {item_contents}.merged_into is 'Empty where it is told that it is not merged.';
comment on column {item_contents}.again is 'Added after its time, because a late post came before it; it may repeat what was known.';

create table {item_lifecycles} (
    product_id   bigint      not null,
    item_id      text        not null,
    occurred_at  timestamptz not null,
    is_delete    boolean     not null,
    updated_at   timestamptz not null,
    position     bigint      not null,
    action       text        not null
);

create table {item_sightings} (
    product_id   bigint      not null,
    item_id      text        not null,
    occurred_at  timestamptz not null,
    position     bigint      not null
);

-- An item with its text. A read that asks for none of it does not look there.
create view {items} as
select s.product_id, s.item_id, s.title, t.description, s.status, s.type, s.effort, s.tags, s.owner_id,
       s.estimated, s.merged_into, s.scoring, s.trend, s.ratio, s.votes_up, s.votes_down, s.votes_net,
       s.total_sum, s.comments, s.subscribers, s.created_at, s.updated_at, s.author_id, s.deleted, s.deleted_at,
       s.status_since, s.first_seen_at, s.last_activity_at, s.first_position, s.position, s.events, s.known_up,
       s.known_down, s.heard_up, s.heard_down, s.votes_most, s.newest_post, s.incomplete, s.noted, t.search
  from {item_states} s
  left join {item_texts} t on t.product_id = s.product_id and t.item_id = s.item_id;

-- name: keys
-- What a step needs while it loads; the other indexes can wait until a rebuild has loaded.
alter table {item_states} add primary key (product_id, item_id);
alter table {item_texts} add primary key (product_id, item_id);

-- name: indexes
create unique index on {item_counts} (item_id, product_id, occurred_at, is_delete, updated_at, position);
create index on {item_counts} (item_id, product_id, position)
    include (occurred_at, votes_up, votes_down, complete) where newest;
create index on {item_counts} (position) where not newest or not complete;
create unique index on {item_contents} (item_id, product_id, occurred_at, is_delete, updated_at, position);
create index on {item_contents} (item_id, product_id, occurred_at, is_delete, updated_at, position) where tags is not null;
create index on {item_contents} (item_id, product_id, position)
    where coalesce(owner_id, estimated, merged_into) is not null;
create index on {item_contents} (item_id, product_id, position) where newest;
create unique index on {item_contents} (position);
create index on {item_contents} (product_id, occurred_at) where status = 'merged' and not again;
create index on {item_contents} (product_id, merged_into) where merged_into <> '';
create unique index on {item_lifecycles} (product_id, item_id, occurred_at, is_delete, updated_at, position);
create unique index on {item_lifecycles} (position);
create index on {item_lifecycles} (product_id, item_id, occurred_at, is_delete, updated_at, position) where is_delete;
create unique index on {item_sightings} (product_id, item_id, position);
create index on {item_sightings} (product_id, occurred_at);

-- name: lookups
-- What reads need of tables that `settle` writes: a rebuild makes these indexes last.
create index on {item_states} (product_id, created_at desc nulls last, item_id);
create index on {item_states} (product_id, updated_at desc nulls last, item_id);
create index on {item_states} (product_id, votes_net desc nulls last, item_id);
create index on {item_states} (product_id, trend desc nulls last, item_id);
create index on {item_states} (product_id, status_since, item_id);
create index on {item_states} (product_id, deleted_at) where deleted;
create index on {item_states} (product_id, merged_into) where merged_into is not null;
create index on {item_texts} using gin (search);

-- name: apply.sightings
-- When an item was first heard of, by either clock: a row only where an event happened before all that
-- had arrived, so that "had it been heard of at (P, T)" is "is there a row with position <= P and
-- occurred_at <= T".
insert into {item_sightings} (product_id, item_id, occurred_at, position)
select s.product_id, s.item_id, s.occurred_at, s.position
  from (
       select h.product_id, h.item_id, h.occurred_at, h.position,
              least(i.first_seen_at, min(h.occurred_at) over (
                  partition by h.item_id collate "C", h.product_id order by h.position
                  rows between unbounded preceding and 1 preceding
              )) as first_seen_at
         from {hot} h
         left join {item_states} i on i.product_id = h.product_id and i.item_id = h.item_id
        where h.item_id is not null
       ) s
 where s.first_seen_at is null or s.occurred_at < s.first_seen_at;

-- name: apply.counts
insert into {item_counts} (
    product_id, item_id, occurred_at, is_delete, updated_at, position, newest, complete, content_hash,
    votes_up, votes_down, total_sum, comments, subscribers, trend, scoring, ratio
)
select product_id, item_id, occurred_at, is_delete, updated_at, position, newest,
       num_nulls(votes_up, votes_down, total_sum, comments, subscribers, trend, scoring, ratio) = 0
           and updated_at > '-infinity',
       content_hash,
       votes_up, votes_down, total_sum, comments, subscribers, trend, scoring, ratio
  from {posts};

-- name: apply.contents
-- only with: post told
-- The text, status and the like, only where they differ from the newest post before: most posts come with
-- votes and repeat them. `late` adds those of posts that came late.
insert into {item_contents} (
    product_id, item_id, occurred_at, is_delete, updated_at, position, newest, complete,
    title, description, status, type, effort, created_at, author_id, tags, owner_id, estimated, merged_into
)
select p.product_id, p.item_id, p.occurred_at, p.is_delete, p.updated_at, p.position, p.newest,
       num_nulls(c.title, c.description, c.status, c.type, c.effort, c.created_at, c.author_id) = 0,
       c.title, c.description, c.status, c.type, c.effort, c.created_at, c.author_id, c.tags,
       c.owner_id, c.estimated, c.merged_into
  from {posts} p
  join log.events e on e.position = p.position and e.product_id = p.product_id
 cross join lateral read_model.post_content(e.entity, e.data) c
 where p.content_told
   and e.position > $1
   and e.position <= $2;

-- name: apply.lifecycles
-- only with: item
insert into {item_lifecycles} (product_id, item_id, occurred_at, is_delete, updated_at, position, action)
select product_id, item_id, occurred_at, deletes_item, post_updated_at, position, verb
  from {hot}
 where entity = 'item'
   and verb in ('create', 'update', 'delete')
   and item_id is not null;

-- name: apply.items
-- Every item that an event of the step is about, known by its id alone if nothing more was said; with the
-- totals of its newest post, and those that it did not tell as they were. `settle.counts` finds what that misses.
insert into {item_states} as i (
    product_id, item_id, first_seen_at, last_activity_at, first_position, position, events,
    noted, known_up, known_down, heard_up, heard_down, votes_most, newest_post, incomplete,
    updated_at, votes_up, votes_down, total_sum, comments, subscribers, trend, scoring, ratio
)
select h.product_id, h.item_id, h.first_seen_at, h.last_activity_at, h.first_position, h.position, h.events,
       h.noted, coalesce(b.effect_up, 0), coalesce(b.effect_down, 0), coalesce(b.heard_up, 0), coalesce(b.heard_down, 0),
       n.votes_most, p.told,
       coalesce(
           num_nulls(p.votes_up, p.votes_down, p.total_sum, p.comments, p.subscribers, p.trend, p.scoring, p.ratio) > 0
               or p.updated_at = '-infinity',
           false
       ) and p.told is not null,
       nullif(p.updated_at, '-infinity'),
       p.votes_up, p.votes_down, p.total_sum, p.comments, p.subscribers, p.trend, p.scoring, p.ratio
  from (
       select product_id, item_id,
              min(occurred_at) as first_seen_at,
              max(occurred_at) filter (where not read_model.only_seen(action)) as last_activity_at,
              min(position) as first_position, max(position) as position, count(*) as events,
              bool_or(private) as noted
         from {hot}
        where item_id is not null
        group by product_id, item_id
       ) h
  left join (
       select product_id, item_id, sum(effect_up) as effect_up, sum(effect_down) as effect_down,
              sum(effect_up) filter (where not fetched) as heard_up,
              sum(effect_down) filter (where not fetched) as heard_down
         from {ballots}
        group by product_id, item_id
       ) b on b.product_id = h.product_id and b.item_id = h.item_id
  left join (
       -- Each was newer than all before it, so the last one is the newest. Totals that came alone could be
       -- taken with any other post's, so nothing bounds them.
       select product_id, item_id, max(position) filter (where newest) as position,
              max(case when num_nulls(votes_up, votes_down) = 1 then 9223372036854775807
                       else votes_up::bigint - votes_down end) as votes_most
         from {posts}
        group by product_id, item_id
       ) n on n.product_id = h.product_id and n.item_id = h.item_id
  left join {posts} p on p.position = n.position
    on conflict (product_id, item_id) do update
   set first_seen_at = least(i.first_seen_at, excluded.first_seen_at),
       last_activity_at = greatest(i.last_activity_at, excluded.last_activity_at),
       position = excluded.position,
       events = i.events + excluded.events,
       noted = i.noted or excluded.noted,
       known_up = i.known_up + excluded.known_up,
       known_down = i.known_down + excluded.known_down,
       heard_up = i.heard_up + excluded.heard_up,
       heard_down = i.heard_down + excluded.heard_down,
       votes_most = greatest(i.votes_most, excluded.votes_most),
       newest_post = coalesce(excluded.newest_post, i.newest_post),
       incomplete = case when excluded.newest_post is null then i.incomplete else excluded.incomplete end,
       updated_at = coalesce(excluded.updated_at, i.updated_at),
       votes_up = coalesce(excluded.votes_up, i.votes_up),
       votes_down = coalesce(excluded.votes_down, i.votes_down),
       total_sum = coalesce(excluded.total_sum, i.total_sum),
       comments = coalesce(excluded.comments, i.comments),
       subscribers = coalesce(excluded.subscribers, i.subscribers),
       trend = coalesce(excluded.trend, i.trend),
       scoring = coalesce(excluded.scoring, i.scoring),
       ratio = coalesce(excluded.ratio, i.ratio);

-- name: settle.comment_events
-- only with: comment of no item
-- Events of comments that do not say their item count with the item that the comment was told of before; see
-- settle.comment_items of the events.
update {item_states} i
   set events = i.events + a.events,
       last_activity_at = greatest(i.last_activity_at, a.last_activity_at),
       position = greatest(i.position, a.position)
  from (
       select s.product_id, o.item_id, count(*) as events,
              max(s.occurred_at) filter (where not read_model.only_seen(e.action)) as last_activity_at,
              max(s.position) as position
         from {comment_versions} s
         join log.events e on e.position = s.position and e.product_id = s.product_id
        cross join lateral (
              select v.item_id
                from {comment_versions} v
               where v.product_id = s.product_id
                 and v.comment_id = s.comment_id
                 and v.position < s.position
                 and v.item_id is not null
               order by v.occurred_at desc, v.is_delete desc, v.updated_at desc, v.position desc
               limit 1
              ) o
        where s.item_id is null
          and s.position > $1
          and s.position <= $2
        group by s.product_id, o.item_id
       ) a
 where i.product_id = a.product_id
   and i.item_id = a.item_id;

-- name: settle.notes
-- only with: comment
-- only if: exists (select from {comment_versions} where public is false)
-- The items of comments that are or were private notes, by whichever of their events told it.
update {item_states} i
   set noted = true
  from (
       select distinct v.product_id, v.item_id
         from {comment_versions} t
         join {comment_versions} n
           on n.product_id = t.product_id and n.comment_id = t.comment_id and n.public is false
         join {comment_versions} v on v.product_id = t.product_id and v.comment_id = t.comment_id
        where t.position > $1
          and t.position <= $2
          and v.item_id is not null
       ) s
 where i.product_id = s.product_id
   and i.item_id = s.item_id
   and not i.noted;

-- name: settle.late
-- only with: late post
-- A post that came late: what it said, unless the post before it (by key) had said the same. Then the one
-- after it, which changed nothing when it came, changes it back, so it gets a row of its own.
insert into {item_contents} (
    product_id, item_id, occurred_at, is_delete, updated_at, position, newest, again, complete,
    title, description, status, type, effort, created_at, author_id, tags, owner_id, estimated, merged_into
)
select s.product_id, s.item_id, s.occurred_at, s.is_delete, s.updated_at, s.position, s.newest, s.again,
       num_nulls(c.title, c.description, c.status, c.type, c.effort, c.created_at, c.author_id) = 0,
       c.title, c.description, c.status, c.type, c.effort, c.created_at, c.author_id, c.tags,
       c.owner_id, c.estimated, c.merged_into
  from (
       select r.product_id, r.item_id, r.occurred_at, r.is_delete, r.updated_at, r.position, r.newest,
              bool_and(r.again) as again
         from {item_counts} l
         left join lateral (
              select p.content_hash
                from {item_counts} p
               where p.product_id = l.product_id
                 and p.item_id = l.item_id
                 and (p.occurred_at, p.is_delete, p.updated_at, p.position)
                     < (l.occurred_at, l.is_delete, l.updated_at, l.position)
                 and p.position < l.position
               order by p.occurred_at desc, p.is_delete desc, p.updated_at desc, p.position desc
               limit 1
              ) p on true
        cross join lateral (
              select l.product_id, l.item_id, l.occurred_at, l.is_delete, l.updated_at, l.position, l.newest,
                     false as again
              union all
              (select n.product_id, n.item_id, n.occurred_at, n.is_delete, n.updated_at, n.position, n.newest,
                      true
                 from {item_counts} n
                where n.product_id = l.product_id
                  and n.item_id = l.item_id
                  and (n.occurred_at, n.is_delete, n.updated_at, n.position)
                      > (l.occurred_at, l.is_delete, l.updated_at, l.position)
                  and n.position < l.position
                order by n.occurred_at, n.is_delete, n.updated_at, n.position
                limit 1)
              ) r
        where not l.newest
          and l.position > $1
          and l.position <= $2
          and l.content_hash is distinct from p.content_hash
        group by r.product_id, r.item_id, r.occurred_at, r.is_delete, r.updated_at, r.position, r.newest
       ) s
  join log.events e on e.position = s.position and e.product_id = s.product_id
 cross join lateral read_model.post_content(e.entity, e.data) c
    on conflict (product_id, item_id, occurred_at, is_delete, updated_at, position) do nothing;

-- name: settle.counts
-- only with: late post, posts of one item
-- only if: exists (select from {item_counts} where (not newest or not complete) and position > $1 and position <= $2)
-- The totals of items whose newest post did not tell all of them: each from the newest post that told it. Where
-- none came late, those are posts of this step, or what was known before it: an item is not read from its
-- beginning. Else, or over all steps at once, none older than the newest complete one is needed.
update {item_states} i
   set updated_at = s.updated_at,
       votes_up = s.votes_up,
       votes_down = s.votes_down,
       total_sum = s.total_sum,
       comments = s.comments,
       subscribers = s.subscribers,
       trend = s.trend,
       scoring = s.scoring,
       ratio = s.ratio
  from (
       select t.product_id, t.item_id,
              coalesce(n.updated_at, t.updated_at) as updated_at,
              coalesce(n.votes_up, t.votes_up) as votes_up,
              coalesce(n.votes_down, t.votes_down) as votes_down,
              coalesce(n.total_sum, t.total_sum) as total_sum,
              coalesce(n.comments, t.comments) as comments,
              coalesce(n.subscribers, t.subscribers) as subscribers,
              coalesce(n.trend, t.trend) as trend,
              coalesce(n.scoring, t.scoring) as scoring,
              coalesce(n.ratio, t.ratio) as ratio
         from {item_states} t
        cross join lateral (
              select substr(max((c.key || nullif(c.updated_at, '-infinity')::text) collate "C"), 52)::timestamptz as updated_at,
                     substr(max((c.key || c.votes_up::text) collate "C"), 52)::int as votes_up,
                     substr(max((c.key || c.votes_down::text) collate "C"), 52)::int as votes_down,
                     substr(max((c.key || c.total_sum::text) collate "C"), 52)::int as total_sum,
                     substr(max((c.key || c.comments::text) collate "C"), 52)::int as comments,
                     substr(max((c.key || c.subscribers::text) collate "C"), 52)::int as subscribers,
                     substr(max((c.key || c.trend::text) collate "C"), 52)::float8 as trend,
                     substr(max((c.key || c.scoring::text) collate "C"), 52)::float8 as scoring,
                     substr(max((c.key || c.ratio::text) collate "C"), 52)::float8 as ratio
                from (
                     select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position) as key,
                            c.comments, c.ratio, c.scoring, c.subscribers, c.total_sum, c.trend, c.updated_at,
                            c.votes_down, c.votes_up
                       from {item_counts} c
                      where $1 > 0
                        and c.product_id = t.product_id
                        and c.item_id = t.item_id
                        and c.newest
                        and c.position > $1
                        and c.position <= $2
                      union all
                     select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position),
                            c.comments, c.ratio, c.scoring, c.subscribers, c.total_sum, c.trend, c.updated_at,
                            c.votes_down, c.votes_up
                       from {item_counts} c
                      where ($1 = 0
                             or (t.product_id, t.item_id) in (
                                    select l.product_id, l.item_id
                                      from {item_counts} l
                                     where not l.newest
                                       and l.position > $1
                                       and l.position <= $2
                                ))
                        and c.product_id = t.product_id
                        and c.item_id = t.item_id
                        and c.occurred_at >= coalesce((
                                select o.occurred_at from {item_counts} o
                                 where o.product_id = t.product_id and o.item_id = t.item_id and o.complete
                                order by o.occurred_at desc, o.is_delete desc, o.updated_at desc, o.position desc
                                limit 1
                           ), '-infinity')
                     offset 0
                     ) c
              ) n
        where t.incomplete
          and (t.product_id, t.item_id) in (
                 select p.product_id, p.item_id
                   from {item_counts} p
                  where (not p.newest or not p.complete)
                    and p.position > $1
                    and p.position <= $2
              )
       ) s
 where s.product_id = i.product_id
   and s.item_id = i.item_id
   and (i.updated_at, i.votes_up, i.votes_down, i.total_sum, i.comments, i.subscribers, i.trend, i.scoring, i.ratio)
       is distinct from
       (s.updated_at, s.votes_up, s.votes_down, s.total_sum, s.comments, s.subscribers, s.trend, s.scoring, s.ratio);

-- name: settle.contents
-- only with: item, post told, late post
-- What else is known now, of the items of which something new was told; a text that is the same stays as it is.
with told as (
    select t.product_id, t.item_id,
           v.title, v.description, v.status, v.type, v.effort, v.created_at, v.author_id, g.tags,
           m.owner_id, m.estimated, nullif(m.merged_into, '') as merged_into,
           coalesce(l.deleted, false) as deleted,
           case when l.deleted then l.occurred_at end as deleted_at,
           f.occurred_at as status_since
      from (
           select product_id, item_id
             from {item_contents}
            where position > $1
              and position <= $2
            union
           select product_id, item_id
             from {item_lifecycles}
            where position > $1
              and position <= $2
           ) t
      left join lateral (
           select substr(max((c.key || c.title) collate "C"), 52) collate "default" as title,
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
                   where c.product_id = t.product_id
                     and c.item_id = t.item_id
                     and c.occurred_at >= coalesce((
                             select o.occurred_at from {item_contents} o
                              where o.product_id = t.product_id and o.item_id = t.item_id and o.complete
                             order by o.occurred_at desc, o.is_delete desc, o.updated_at desc, o.position desc
                             limit 1
                        ), '-infinity')
                  offset 0
                  ) c
           ) v on true
      left join lateral (
           -- As the tags below.
           select substr(max((c.key || c.owner_id) collate "C"), 52) collate "default" as owner_id,
                  substr(max((c.key || c.estimated) collate "C"), 52) collate "default" as estimated,
                  substr(max((c.key || c.merged_into) collate "C"), 52) collate "default" as merged_into
             from (
                  select read_model.key(c.occurred_at, c.is_delete, c.updated_at, c.position) as key,
                         c.owner_id, c.estimated, c.merged_into
                    from {item_contents} c
                   where c.product_id = t.product_id
                     and c.item_id = t.item_id
                     and coalesce(c.owner_id, c.estimated, c.merged_into) is not null
                  offset 0
                  ) c
           ) m on true
      left join lateral (
           -- The newest tags may be older than the newest complete row.
           select c.tags
             from {item_contents} c
            where c.product_id = t.product_id
              and c.item_id = t.item_id
              and c.tags is not null
            order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
            limit 1
           ) g on true
      left join lateral (
           select c.action = 'delete' as deleted, c.occurred_at
             from {item_lifecycles} c
            where c.product_id = t.product_id
              and c.item_id = t.item_id
            order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
            limit 1
           ) l on true
      left join lateral (
           -- The last row that says another status …
           select c.occurred_at, c.is_delete, c.updated_at, c.position
             from {item_contents} c
            where c.product_id = t.product_id
              and c.item_id = t.item_id
              and c.status <> v.status
            order by c.occurred_at desc, c.is_delete desc, c.updated_at desc, c.position desc
            limit 1
           ) x on true
      left join lateral (
           -- … and the first one after it that says the present one.
           select c.occurred_at
             from {item_contents} c
            where c.product_id = t.product_id
              and c.item_id = t.item_id
              and c.status = v.status
              and (c.occurred_at, c.is_delete, c.updated_at, c.position)
                  > (coalesce(x.occurred_at, '-infinity'), coalesce(x.is_delete, false),
                     coalesce(x.updated_at, '-infinity'), coalesce(x.position, 0))
            order by c.occurred_at, c.is_delete, c.updated_at, c.position
            limit 1
           ) f on true
), written as (
    -- What nobody edited is not searched through again for its words.
    insert into {item_texts} as x (product_id, item_id, description, search)
    select t.product_id, t.item_id, t.description,
           setweight(to_tsvector('simple', read_model.searched(coalesce(t.title, ''))), 'A')
           || setweight(to_tsvector('simple', read_model.searched(left(coalesce(t.description, ''), 100000))), 'B')
      from told t
      join {item_states} k on k.product_id = t.product_id and k.item_id = t.item_id
      left join {item_texts} x on x.product_id = t.product_id and x.item_id = t.item_id
     where coalesce(t.title, t.description) is not null
       and (x.item_id is null or (k.title, x.description) is distinct from (t.title, t.description))
        on conflict (product_id, item_id) do update
       set description = excluded.description,
           search = excluded.search
)
update {item_states} i
   set title = s.title,
       status = s.status,
       type = s.type,
       effort = s.effort,
       created_at = s.created_at,
       author_id = s.author_id,
       tags = s.tags,
       owner_id = s.owner_id,
       estimated = s.estimated,
       merged_into = s.merged_into,
       deleted = s.deleted,
       deleted_at = s.deleted_at,
       status_since = s.status_since
  from told s
 where s.product_id = i.product_id
   and s.item_id = i.item_id;
