-- What all projections share: the bookkeeping, and the functions that read what Sleekplan sends.
-- Declared whole and disposable: everything here can be dropped and is made again at the next start.

-- name: bookkeeping
do $$
begin
    -- Asked first: `if not exists` wants the right to make schemas, which a role that has this one need not have.
    if to_regnamespace('read_model') is null then
        create schema read_model;
    end if;
end
$$;

-- Which functions are declared, so that a start that finds them as they are leaves them alone.
create table if not exists read_model.declared (
    only_row     boolean primary key default true check (only_row),
    fingerprint  text    not null
);

-- Who may advance the projections ('projector') and who rebuilds ('rebuild'). The clock is the
-- database's, so hosts whose clocks disagree still agree on whose turn it is.
create table if not exists read_model.lease (
    task     text        primary key,
    holder   text        not null,
    epoch    bigint      not null,
    expires  timestamptz not null
);

-- How far each projection has got, and which generation of its tables is read. One row a projection;
-- every read looks it up in its own snapshot.
create table if not exists read_model.checkpoints (
    projection   text        primary key,
    built_in     boolean     not null,
    generation   int         not null,
    position     bigint      not null,
    epoch        bigint      not null default 0,
    fingerprint  text        not null,
    tables       text[]      not null,
    moved_at     timestamptz not null default clock_timestamp(),
    rate         float8      not null default 0,
    last_error   text
);

-- Rebuilds asked for, running and done; the tables that they build are named by their generation.
create table if not exists read_model.rebuilds (
    rebuild       bigint      primary key,
    projections   text[]      not null,
    state         text        not null check (state in ('REQUESTED', 'RUNNING', 'DONE', 'FAILED')),
    generation    int         not null,
    fingerprint   text        not null,
    product_id    bigint,
    item_id       text,
    position      bigint      not null default 0,
    settled       boolean     not null default false,
    head          bigint      not null default 0,
    rate          float8      not null default 0,
    requested_at  timestamptz not null default clock_timestamp(),
    started_at    timestamptz,
    finished_at   timestamptz,
    error         text
);

-- Tables of generations that are read no longer, kept a while for readers with an older snapshot.
create table if not exists read_model.discarded (
    table_name    text        primary key,
    discarded_at  timestamptz not null default clock_timestamp()
);

-- Which child of each parent is read by views that stay: `shown_…` look it up in their own snapshot.
create table if not exists read_model.shown (
    parent      regclass  primary key,
    version     text      not null,
    table_name  text      not null,
    child       regclass
);

-- Events that a projection could not apply, and the later ones of the same entity that wait for them.
create table if not exists read_model.parked (
    projection  text        not null,
    position    bigint      not null,
    product_id  bigint      not null,
    entity      text        not null,
    entity_id   text,
    waiting     boolean     not null,
    error       text        not null,
    parked_at   timestamptz not null default clock_timestamp(),
    primary key (projection, position)
);
-- `create index if not exists` waits for whoever writes the table, as a retry does, although the index is there.
do $$
begin
    if to_regclass('read_model.parked_entity') is null then
        create index parked_entity on read_model.parked (product_id, entity, entity_id);
    end if;
end
$$;

-- Columns that came later. `add column if not exists` waits for whoever reads the table, as a pg_dump does for hours, and
-- has everybody else wait behind it, although the column is there.
do $$
declare
    later record;
begin
    for later in
        select c.*
          from (values ('declared', 'views', $d$text not null default ''$d$),
                       -- The version that came last, by what it counts by.
                       ('declared', 'version', $d$text not null default ''$d$),
                       ('rebuilds', 'lanes', $d$bigint[] not null default '{}'$d$),
                       ('rebuilds', 'indexed', $d$boolean[] not null default '{}'$d$),
                       -- What was so of the one product before its events were read.
                       ('rebuilds', 'began_with', 'text'),
                       ('discarded', 'discarded_by', 'xid8 not null default pg_current_xact_id()')
               ) as c (in_table, name, type)
         where not exists (
                   select
                     from pg_catalog.pg_attribute a
                    where a.attrelid = format('read_model.%I', c.in_table)::regclass
                      and a.attname = c.name
               )
    loop
        execute format('alter table read_model.%I add column %I %s', later.in_table, later.name, later.type);
    end loop;
end
$$;

-- name: functions
-- An id is text, "0" and "" are none; an object, a list or a long text is no id.
create or replace function read_model.id_of(v text) returns text
language sql immutable parallel safe
return case when v in ('', '0') or v like '{%' or v like '[%' or octet_length(v) > 200 and length(v) > 200
            then null else v end;

-- Whole numbers come bare or quoted; what is none, or has more than nine digits, is not said. The first branches
-- are the usual ones: `translate` takes 0.1 microseconds for each character, the pattern far more.
create or replace function read_model.int_of(v text) returns int
language sql immutable parallel safe
return case
    when octet_length(v) = 1 and v collate "C" between '0' and '9' then v::int
    when octet_length(v) between 1 and 9 and translate(v, '0123456789', '') = '' then v::int
    when v ~ '^-[0-9]{1,9}$' then v::int
end;

-- Numbers have at most fifteen digits before a point; after it a quotient has more (0.9166666666666666).
create or replace function read_model.number_of(v text) returns float8
language sql immutable parallel safe
return case
    when octet_length(v) = 1 and v collate "C" between '0' and '9' then v::float8
    when octet_length(v) between 1 and 9 and v not like '%.%' and translate(v, '0123456789', '') = '' then v::float8
    when octet_length(v) between 3 and 15 and translate(v, '0123456789', '') = '.' and v not like '.%' and v not like '%.'
    then v::float8
    when v ~ '^-?[0-9]{1,15}([.][0-9]{1,60})?$' then v::float8
end;

create or replace function read_model.boolean_of(v text) returns boolean
language sql immutable parallel safe
return case lower(v) when 'true' then true when '1' then true when 'false' then false when '0' then false end;

-- Whether a comment is public: false is a note between team members. What is told and cannot be read is taken for
-- such a note, as little is lost by not showing it.
create or replace function read_model.public_of(v text) returns boolean
language sql immutable parallel safe
return case when v is not null then coalesce(read_model.boolean_of(v), false) end;

-- `YYYY-MM-DD HH:MM:SS` without a zone is UTC; a day that no calendar has ('0000-00-00', 30 February) is not said.
-- That its digits are digits is seen from their bytes: `3_` are those, and `:;<=>?`. This takes a third of what
-- `translate` or a pattern takes.
create or replace function read_model.moment_of(v text) returns timestamptz
language sql stable parallel safe
return case
    when v collate "C" < '1000' then null
    when octet_length(v) = 19
         and encode(convert_to(v, 'UTF8'), 'hex') like '3_3_3_3_2d3_3_2d3_3_203_3_3a3_3_3a3_3_'
         and strpos(v, ';') + strpos(v, '<') + strpos(v, '=') + strpos(v, '>') + strpos(v, '?') = 0
         and v not like '%:%:%:%'
         and substr(v, 12, 2) collate "C" < '24'
         and substr(v, 15, 2) collate "C" < '60'
         and substr(v, 18, 2) collate "C" < '60'
         and substr(v, 6, 2) collate "C" between '01' and '12'
    then case
        when substr(v, 9, 2) collate "C" between '01' and '28'
          or substr(v, 9, 2) in ('29', '30') and substr(v, 6, 2) <> '02'
          or substr(v, 9, 2) = '31' and substr(v, 6, 2) in ('01', '03', '05', '07', '08', '10', '12')
          or substr(v, 9, 2) = '29' and substr(v, 6, 2) = '02' and substr(v, 1, 4)::int % 4 = 0
             and (substr(v, 1, 4)::int % 100 <> 0 or substr(v, 1, 4)::int % 400 = 0)
        then v::timestamp at time zone 'UTC'
    end
end;

-- Text says something unless it is empty: for the name, address and picture of an embedded user.
create or replace function read_model.said(v text) returns text
language sql immutable parallel safe
return case when v in ('', '0') then null else v end;

-- The order of what is said about one entity, as text that sorts like (occurred_at, is_delete, updated_at,
-- position): so that a running maximum finds the newest, and can carry along what was said (`key || text`).
-- A moment before 2000 is a negative number to Postgres, hence the digit before each.
create or replace function read_model.key(
    occurred_at timestamptz, is_delete boolean, updated_at timestamptz, event_position bigint
) returns text
language sql immutable parallel safe
return case when occurred_at < '2000-01-01T00:00:00Z' then '0' else '1' end
    || encode(timestamptz_send(occurred_at), 'hex')
    || case when is_delete then '1' else '0' end
    || case when updated_at < '2000-01-01T00:00:00Z' then '0' else '1' end
    || encode(timestamptz_send(updated_at), 'hex')
    || encode(int8send(event_position), 'hex');

-- The bytes of a text that is all ASCII, as such a key: to cut them takes a fifth of cutting the text, whose characters are
-- counted from its beginning each time.
create or replace function read_model.bytes_of(v text) returns bytea
language sql stable parallel safe
return textsend(v);

-- Whether an event tells what something was like when it was seen (the type SNAPSHOT): nobody did anything then.
create or replace function read_model.only_seen(action text) returns boolean
language sql immutable parallel safe
return action in ('item.snapshot', 'comment.snapshot', 'user.snapshot', 'changelog.snapshot', 'vote.moved');

-- The post that an event carries: for item.* the body's data is the post, elsewhere it is nested.
create or replace function read_model.post_of(entity text, data jsonb) returns jsonb
language sql immutable parallel safe
return case
    when entity = 'item' then data
    when jsonb_typeof(data -> 'feedback_item') = 'object' then data -> 'feedback_item'
    when jsonb_typeof(data -> 'post') = 'object' then data -> 'post'
    when jsonb_typeof(data -> 'feedback') = 'object' then data -> 'feedback'
    when jsonb_typeof(data -> 'item') = 'object' then data -> 'item'
end;

-- The user that an event is about or done by; the one of item.* is the post's author. Null where only an id came.
create or replace function read_model.user_of(entity text, data jsonb) returns jsonb
language sql immutable parallel safe
return case
    when entity = 'item' then null
    when jsonb_typeof(data -> 'user') = 'object' then data -> 'user'
    when entity in ('user', 'changelog_subscriber') then data
end;

-- Tags from a JSON list of texts, or of objects with a `key` or `name`: each once, sorted, so that the same in another
-- order are the same. What is no text or number is no tag; of another kind of JSON than a list, nothing. Strict, as is
-- `text_list`: a function that has a query in it is run as one for each row, so not for those that told nothing.
create or replace function read_model.tags_of(list jsonb) returns text[]
language sql immutable strict parallel safe
return case when jsonb_typeof(list) = 'array'
            then array(select distinct t.tag collate "C"
                         from jsonb_array_elements(list) as m (member)
                        cross join lateral (
                              select c.said #>> '{}' as tag
                                from (values (1, m.member), (2, m.member -> 'key'), (3, m.member -> 'name')) as c (place, said)
                               where jsonb_typeof(c.said) in ('string', 'number') and c.said <> '""'
                               order by c.place limit 1) as t
                        order by 1) end;

-- What a post says of its item's text, status and so on; null is not said. As in the staging, `offset 0` keeps
-- the planner from taking the post out of the body anew for each column.
create or replace function read_model.post_content(entity text, data jsonb)
returns table (
    title text, description text, status text, type text, effort int, created_at timestamptz, author_id text, tags text[],
    owner_id text, estimated text, merged_into text
)
language sql stable parallel safe
begin atomic
    select o.title, o.description, o.status, o.type, read_model.int_of(o.effort), read_model.moment_of(o.created),
           coalesce(read_model.id_of(o.author_user_id), read_model.id_of(o.user_id)), read_model.tags_of(o.tags),
           case when o.owner in ('', '0') then '' else read_model.id_of(o.owner) end, o.estimated,
           case when o.merge_id in ('', '0') then '' else read_model.id_of(o.merge_id) end
      from (
           select p.post ->> 'title' as title, p.post ->> 'description' as description, p.post ->> 'status' as status,
                  p.post ->> 'type' as type, p.post ->> 'effort' as effort, p.post ->> 'created' as created,
                  p.post -> 'user' ->> 'user_id' as author_user_id, p.post ->> 'user_id' as user_id,
                  p.post -> 'tags' as tags, p.post ->> 'owner_id' as owner, p.post ->> 'estimated' as estimated,
                  p.post ->> 'merge_id' as merge_id
             from (select read_model.post_of(entity, data) as post offset 0) p
           offset 0
           ) o;
end;

-- Whose a row of Sleekplan's API is: of the user in it, else of the `user_id` that it says.
create or replace function read_model.whose(row_ jsonb) returns text
language sql immutable parallel safe
return coalesce(read_model.id_of(row_ -> 'user' ->> 'user_id'), read_model.id_of(row_ ->> 'user_id'));

-- A list of text from a JSON list; of another kind of JSON, nothing.
create or replace function read_model.text_list(list jsonb) returns text[]
language sql immutable strict parallel safe
return case when jsonb_typeof(list) = 'array'
            then array(select m.member from jsonb_array_elements_text(list) with ordinality m (member, place)
                        where m.member is not null order by m.place) end;

create or replace function read_model.object_of(v jsonb) returns jsonb
language sql immutable parallel safe
return case when jsonb_typeof(v) = 'object' then v end;

-- What is told of an embedded user, as a number. Not of the whole object: ids in it come bare and quoted in turn.
create or replace function read_model.person_hash(person jsonb) returns bigint
language sql immutable parallel safe
return hash_record_extended(
    row(person ->> 'data_name', person ->> 'data_mail', person ->> 'data_img', person ->> 'admin_id'), 0
);

-- What an event says of a user; null is not said. A full user (user.*) says all there is, one embedded beside
-- or in a post its name, address, picture and whether it is of the team, and an empty one of these says nothing.
create or replace function read_model.user_content(entity text, action text, data jsonb, author boolean)
returns table (
    action text, data_id text, name text, full_name text, mail text, img text, admin_id text, anonymous boolean,
    segments text[], custom jsonb, system jsonb, weight int, notify jsonb, stats jsonb, created_at timestamptz
)
language sql stable parallel safe
begin atomic
    select case when user_content.action in ('user.create', 'user.update', 'user.delete')
                then split_part(user_content.action, '.', 2) end,
           u.fully ->> 'data_id',
           case when u.fully is null then read_model.said(u.name) else u.name end,
           u.fully ->> 'data_full_name',
           case when u.fully is null then read_model.said(u.mail) else u.mail end,
           case when u.fully is null then read_model.said(u.img) else u.img end,
           u.admin_id,
           read_model.boolean_of(u.anonymous),
           read_model.text_list(u.fully -> 'segments'),
           read_model.object_of(u.fully -> 'data'),
           read_model.object_of(u.fully -> 'data_system'),
           read_model.int_of(u.weight),
           case when u.fully ? 'notify' or u.fully ? 'notify_settings'
                then jsonb_strip_nulls(jsonb_build_object(
                    'notify', u.fully -> 'notify', 'settings', u.fully -> 'notify_settings')) end,
           case when u.fully ?| array['stats_feedback', 'stats_votes', 'stats_comments', 'stats_satisfaction', 'stats_promoter']
                then jsonb_strip_nulls(jsonb_build_object(
                    'feedback', u.fully -> 'stats_feedback', 'votes', u.fully -> 'stats_votes',
                    'comments', u.fully -> 'stats_comments', 'satisfaction', u.fully -> 'stats_satisfaction',
                    'promoter', u.fully -> 'stats_promoter')) end,
           read_model.moment_of(u.created)
      from (
           select s.fully,
                  s.said ->> 'data_name' as name,
                  s.said ->> 'data_mail' as mail,
                  s.said ->> 'data_img' as img,
                  s.said ->> 'admin_id' as admin_id,
                  s.fully ->> 'anonymous' as anonymous,
                  s.fully ->> 'weight' as weight,
                  s.fully ->> 'created' as created
             from (
                  select case when entity = 'user' then read_model.user_of(entity, data) end as fully,
                         case when author then read_model.post_of(entity, data) -> 'user'
                              else read_model.user_of(entity, data) end as said
                  offset 0
                  ) s
           offset 0
           ) u;
end;

-- A text as a search reads it: letters without their accents, composed and wide ones as the usual ones, a space for
-- whatever stands between words (tags too), and by itself each letter of the scripts that write without spaces: Thai,
-- Lao, Burmese, Khmer, Chinese, Japanese, and Korean, whose words change their ends. A text of ASCII needs the last step
-- alone. Its body is text, since columns are generated by it (see drop_functions); of SQL alone, it would be a query for each.
create or replace function read_model.searched(v text) returns text
language plpgsql immutable strict parallel safe
as $searched$
declare
    said text := case when strpos(v, '<') > 0 then regexp_replace(v, '<[a-zA-Z/!][^<>]*>', ' ', 'g') else v end;
begin
    return regexp_replace(
        case when octet_length(said) = length(said) then said
             else regexp_replace(
                      translate(
                          replace(replace(replace(
                              pg_catalog.normalize(
                                  regexp_replace(
                                      pg_catalog.normalize(said, 'NFKD'),
                                      '[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u00ad\u200c\u200d\ufe00-\ufe0f]', '', 'g'),
                                  'NFKC'),
                              'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'),
                          'øØłŁđĐħĦı', 'oOlLdDhHi'),
                      '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u3096\u30a1-\u30fe\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]',
                      ' \& ', 'g')
        end,
        '[!-/:-@\[-`{-~\u0080-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u3004\u3008-\u3020\u3030\u303d\u30fb]+',
        ' ', 'g');
end
$searched$;

-- The terms of a search, each a word or a phrase: those of one alternative belong together, and must all be found, or
-- none of them where `negated`. `or` begins the next alternative. One of negated terms alone gets a term that is null,
-- for everything there is. `wanted` is how many of an alternative are to be found.
create or replace function read_model.search_terms(asked text)
returns table (alternative int, place int, term tsquery, negated boolean, wanted int)
language sql immutable parallel safe rows 3
as $terms$
with token as (
     select t.place, coalesce(t.found[1], t.found[3]) = '-' as negated, coalesce(t.found[2], t.found[4]) as text,
            t.found[4] is not null and lower(t.found[4]) = 'or' as is_or
       from regexp_matches(translate(asked, '“”„«»', '"""""'), '(-?)"([^"]*)"?|(-?)([^\s"]+)', 'g')
            with ordinality as t (found, place)
),
term as (
     select count(*) filter (where t.is_or) over (order by t.place)::int as alternative, t.place::int, t.negated, t.is_or,
            phraseto_tsquery('pg_catalog.simple', read_model.searched(t.text)) as term
       from token t
),
kept as (
     select t.alternative, t.place, t.term, t.negated
       from term t
      where not t.is_or
        and numnode(t.term) > 0
)
select k.alternative, k.place, k.term, k.negated,
       greatest(count(*) filter (where not k.negated) over (partition by k.alternative), 1)::int
  from kept k
union all
select k.alternative, 0, null, false, 1
  from kept k
 group by k.alternative
having bool_and(k.negated)
$terms$;

-- What a search ranks by: any of the terms that are to be found.
create or replace function read_model.search_any(asked text) returns tsquery
language sql immutable strict parallel safe
as $any$
select string_agg('(' || t.term::text || ')', ' | ')::tsquery
  from read_model.search_terms(asked) t
 where not t.negated
$any$;

-- `scheduled` of a changelog entry is a boolean or Unix seconds; only the latter is a moment.
create or replace function read_model.scheduled_of(v text) returns timestamptz
language sql immutable parallel safe
return case when v ~ '^[0-9]{9,11}$' then to_timestamp(v::float8) end;

-- What an event says of a comment beside ids of others; null is not said.
create or replace function read_model.comment_content(data jsonb)
returns table (
    comment_id text, body text, status text, type text, likes int, created_at timestamptz, parent_id text, pinned boolean,
    public boolean
)
language sql stable parallel safe
begin atomic
    select coalesce(read_model.id_of(data ->> 'comment_id'), read_model.id_of(data ->> 'id')),
           coalesce(data ->> 'comment', data ->> 'value', data ->> 'text'),
           data ->> 'status', data ->> 'type', read_model.int_of(data ->> 'likes'),
           read_model.moment_of(data ->> 'created'), read_model.id_of(data ->> 'parent'),
           read_model.boolean_of(data ->> 'pinned'), read_model.public_of(data ->> 'public');
end;

-- What an event says of a changelog entry beside its item; null is not said.
create or replace function read_model.changelog_content(data jsonb)
returns table (
    changelog_id text, title text, description text, type text, segment text, draft boolean, announcement boolean,
    scheduled_at timestamptz, created_at timestamptz
)
language sql stable parallel safe
begin atomic
    select coalesce(read_model.id_of(data ->> 'changelog_id'), read_model.id_of(data ->> 'id')),
           data ->> 'title', data ->> 'description', data ->> 'type', data ->> 'segment',
           read_model.boolean_of(data ->> 'draft'), read_model.boolean_of(data ->> 'announcement'),
           read_model.scheduled_of(data ->> 'scheduled'), read_model.moment_of(data ->> 'created');
end;

-- What of `said` is known otherwise, by its keys; both are objects made of a row. Null is not said, and what is empty
-- (false, 0, no text, nothing in a list) is not otherwise than what nothing was told of.
create or replace function read_model.otherwise(said jsonb, known jsonb) returns text[]
language sql immutable parallel safe
return array(
    select s.key
      from jsonb_each(said) s
     where s.value <> 'null'
       and known ? s.key
       and known -> s.key <> s.value
       and (known -> s.key <> 'null' or s.value not in ('false', '0', '""', '"0"', '[]', '{}'))
     order by s.key
);

-- The value that was told last, of rows in an order: over a window, what was known before one of them.
create or replace function read_model.later(known anyelement, told anyelement) returns anyelement
language sql immutable strict parallel safe
as 'select told';

create or replace aggregate read_model.last_told(anyelement) (
    sfunc = read_model.later, stype = anyelement, parallel = safe
);
