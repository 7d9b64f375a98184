-- Forgetting a person: redacts in place what says who they are, in the log and in the quarantine, and
-- goes on doing so for whatever arrives later. Positions, ids, votes and counts stay as they are.

alter table log.erasures
    add column texts        boolean not null default false,
    add column quarantined  bigint  not null default 0,
    add column replayed_at  timestamptz;

comment on column log.erasures.texts is 'Whether what the person wrote was redacted too.';
comment on column log.erasures.quarantined is 'How many deliveries of the quarantine it redacted.';
comment on column log.erasures.replayed_at is 'When the read model had been counted again without the person; null until then.';

-- Whose data is redacted on arrival. The id stays in the log as well: without it votes could not be counted.
create table log.suppressions (
    product_id  bigint       not null,
    user_id     text         not null,
    erasure     uuid         not null references log.erasures (id),
    texts       boolean      not null,
    since       timestamptz  not null default clock_timestamp(),
    primary key (product_id, user_id)
);

-- What a suppressed person wrote, so that a later edit of it is known as theirs without naming them.
create table log.suppressed_writings (
    product_id  bigint  not null,
    kind        text    not null check (kind in ('feedback_id', 'comment_id', 'satisfaction_id')),
    id          text    not null,
    user_id     text    not null,
    primary key (product_id, kind, id, user_id)
);

-- A person as the functions below know them.
create type log.person as (
    user_id   text,
    texts     boolean,  -- redact what they wrote as well
    items     text[],   -- the ids of what they wrote
    comments  text[],
    answers   text[],
    traces    text[]    -- addresses and full names, to be found in what others wrote
);

-- What JSON says about a person, gone: `said` without who they are. Three rules, at any depth:
--   an object that is the person keeps its ids, counts and clocks only;
--   an object that is something of theirs loses what tells who they are, and its texts if they are to go;
--   their address and full name are struck out of every text.
create function log.redacted(said jsonb, whose log.person, is_user boolean default false) returns jsonb
language plpgsql immutable as $$
declare
    theirs   boolean;
    wrote    boolean;
    trace    text;
    text_of  text;
begin
    if jsonb_typeof(said) = 'object' then
        theirs := coalesce(said ->> 'user_id', case when is_user then said ->> 'id' end, '') = whose.user_id;
        if theirs and (is_user or not said ?| array['feedback_id', 'feedback_item', 'feedback', 'post', 'item', 'user',
                                                    'comment_id', 'comment', 'satisfaction_id', 'changelog_id', 'title'])
        then
            return (select coalesce(jsonb_object_agg(m.key, m.value), '{}')
                      from jsonb_each(said) m
                     where m.key in ('user_id', 'id', 'product_id', 'admin_id', 'anonymous', 'weight', 'notify', 'vote',
                                     'created', 'updated')
                        or m.key like 'stats\_%')
                   || '{"erased": true}';
        end if;
        wrote := theirs or case when jsonb_typeof(said -> 'user') = 'object'
                                then coalesce(said -> 'user' ->> 'user_id', '') = whose.user_id
                                else coalesce(said ->> 'comment_id' = any (whose.comments), false)
                                  or coalesce(said ->> 'satisfaction_id' = any (whose.answers), false)
                                  or (not said ? 'comment_id' and said ?| array['title', 'description']
                                      and coalesce(coalesce(said ->> 'feedback_id', said ->> 'id') = any (whose.items), false))
                           end;
        return (select coalesce(jsonb_object_agg(m.key,
                                    case when wrote and whose.texts
                                              and m.key in ('title', 'description', 'comment', 'value', 'text')
                                              and jsonb_typeof(m.value) = 'string'
                                         then to_jsonb('[erased]'::text)
                                         else log.redacted(m.value, whose,
                                                  m.key in ('user', 'author', 'voter', 'subscriber', 'commenter', 'owner'))
                                    end), '{}')
                  from jsonb_each(said) m
                 where not (theirs or wrote)
                    or m.key not in ('data_id', 'data_name', 'data_full_name', 'data_mail', 'data_img', 'data_system',
                                     'name', 'full_name', 'mail', 'email', 'phone', 'img', 'avatar', 'ip', 'lat', 'lng',
                                     'city', 'address', 'country', 'browser', 'user_agent', 'referrer', 'meta'));
    elsif jsonb_typeof(said) = 'array' then
        return (select coalesce(jsonb_agg(log.redacted(m.value, whose, is_user) order by m.ordinal), '[]')
                  from jsonb_array_elements(said) with ordinality as m (value, ordinal));
    elsif jsonb_typeof(said) = 'string' and cardinality(whose.traces) > 0 then
        text_of := said #>> '{}';
        foreach trace in array whose.traces loop
            if strpos(lower(text_of), lower(trace)) > 0 then
                text_of := regexp_replace(text_of, '***=' || trace, '[erased]', 'gi');
            end if;
        end loop;
        return to_jsonb(text_of);
    end if;
    return said;
end
$$;

-- How an id, a text or a name reads in a jsonb's text, so that one search finds where a closer look pays.
create function log.as_written(member text, value text) returns text[]
language sql immutable
return array_remove(array[
    format('"%s": %s', member, to_jsonb(value)),
    case when value ~ '^[1-9][0-9]*$' then format('"%s": %s', member, value) end
], null);

-- The events after `first` and up to `last` that say something of a person, and what is left of each.
create function log.redactions(product bigint, whose log.person, first bigint, last bigint)
returns table ("position" bigint, envelope jsonb, data jsonb)
language plpgsql stable as $$
#variable_conflict use_column
declare
    needles  text[] := log.as_written('user_id', whose.user_id);
    id       text;
begin
    foreach id in array whose.traces loop
        needles := needles || trim(both '"' from lower(to_jsonb(id)::text));
    end loop;
    if whose.texts then
        foreach id in array whose.items loop
            needles := needles || log.as_written('feedback_id', id) || log.as_written('id', id);
        end loop;
        foreach id in array whose.comments loop
            needles := needles || log.as_written('comment_id', id);
        end loop;
        foreach id in array whose.answers loop
            needles := needles || log.as_written('satisfaction_id', id);
        end loop;
    end if;
    return query
    select f.position, f.new_envelope, f.new_data
      from (
           select e.position, e.envelope, e.data, e.erased_at, e.raw,
                  log.redacted(e.envelope, whose) as new_envelope,
                  log.redacted(e.data, whose, e.entity in ('user', 'changelog_subscriber')) as new_data
             from log.events e
            where e.product_id = product
              and e.position > first
              and e.position <= last
              and (e.entity = 'user' and e.entity_id = whose.user_id
                   or exists (select 1
                                from unnest(needles) n
                               where strpos(lower(e.data::text), n) > 0
                                  or strpos(lower(e.envelope::text), n) > 0))
           ) f
     where (f.new_envelope, f.new_data) is distinct from (f.envelope, f.data)
        or f.raw is not null;
end
$$;

-- Everything the log knows that belongs to a person: what they wrote, and by what else they are called.
create function log.person(product bigint, person text, with_texts boolean) returns log.person
language plpgsql stable as $$
declare
    found  log.person;
begin
    with objects as materialized (
        select o.said, e.entity
          from log.events e
         cross join lateral jsonb_path_query(e.envelope || jsonb_build_object('data', e.data), '$.**') as o (said)
         where e.product_id = product
           and (e.entity = 'user' and e.entity_id = person
                or exists (select 1 from unnest(log.as_written('user_id', person)) n where strpos(e.data::text, n) > 0))
           and jsonb_typeof(o.said) = 'object'
    ),
    theirs as (
        select s.said
          from objects s
         where s.said ->> 'user_id' = person
            or s.entity = 'user' and s.said ->> 'id' = person
    ),
    written as (
        select s.said
          from objects s
         where coalesce(s.said -> 'user' ->> 'user_id', s.said ->> 'user_id') = person
    ),
    named as (
        select distinct trim(n.name) as name
          from theirs t
         cross join lateral (values (t.said ->> 'data_mail'), (t.said ->> 'mail'), (t.said ->> 'email'),
                                    (t.said ->> 'data_full_name'), (t.said ->> 'full_name'), (t.said ->> 'data_name')) as n (name)
    )
    select person, with_texts,
           (select coalesce(array_agg(distinct coalesce(w.said ->> 'feedback_id', w.said ->> 'id')), '{}')
              from written w
             where not w.said ? 'comment_id'
               and w.said ?| array['title', 'description']
               and coalesce(w.said ->> 'feedback_id', w.said ->> 'id') is not null),
           (select coalesce(array_agg(distinct w.said ->> 'comment_id'), '{}')
              from written w
             where w.said ? 'comment_id'),
           (select coalesce(array_agg(distinct w.said ->> 'satisfaction_id'), '{}')
              from written w
             where w.said ? 'satisfaction_id'),
           -- One plain word may be anybody's name, or a word of the language: it is struck out of nobody's text.
           (select coalesce(array_agg(n.name order by length(n.name) desc), '{}')
              from named n
             where n.name like '%_@_%'
                or n.name like '%_ _%' and length(n.name) > 6
                or n.name ~ '[0-9_]' and length(n.name) > 4)
      into found;
    return found;
end
$$;

-- Whether a body that is no event names the person, be it cut off or no JSON at all.
create function log.names(body bytea, whose log.person) returns boolean
language sql immutable
return encode(body, 'escape') ~ format('"user_id"\s*:\s*("%1$s"|%1$s[^0-9])',
                                       regexp_replace(whose.user_id, '([^A-Za-z0-9])', '\\\1', 'g'))
    or exists (select 1
                 from unnest(whose.traces) t
                where position(convert_to(lower(t), 'UTF8') in convert_to(lower(encode(body, 'escape')), 'UTF8')) > 0
                   or position(convert_to(t, 'UTF8') in body) > 0);

-- Forget a person: the one way in which log.events changes. Returns the line that it leaves in log.erasures.
--
-- Applied twice, it does no harm. Whatever is appended meanwhile is either seen by the second look, which holds
-- the lock of the appends, or comes after it and finds the suppression.
create function log.erase(product bigint, person text, with_texts boolean, why text, known_as uuid default null)
returns log.erasures
language plpgsql as $$
declare
    whose       log.person;
    erasure     log.erasures;
    seen_to     bigint;
    head        bigint;
    redacted    bigint;
    set_aside   bigint;
begin
    insert into log.erasures (id, product_id, user_digest, reason, texts)
    values (coalesce(known_as, gen_random_uuid()), product, sha256(convert_to(product || ':' || person, 'UTF8')), why, with_texts)
    returning * into erasure;

    whose := log.person(product, person, with_texts);
    insert into log.suppressions as s (product_id, user_id, erasure, texts)
    values (product, person, erasure.id, with_texts)
    on conflict (product_id, user_id) do update
       set erasure = excluded.erasure, texts = s.texts or excluded.texts;
    insert into log.suppressed_writings (product_id, kind, id, user_id)
    select product, w.kind, w.id, person
      from (select 'feedback_id', unnest(whose.items)
            union all
            select 'comment_id', unnest(whose.comments)
            union all
            select 'satisfaction_id', unnest(whose.answers)) as w (kind, id)
    on conflict do nothing;

    select coalesce(max(e.position), 0) into seen_to from log.events e;
    update log.events e
       set envelope = r.envelope, data = r.data, raw = null, erased_at = transaction_timestamp()
      from log.redactions(product, whose, 0, seen_to) r
     where e.position = r.position
       and e.product_id = product;
    get diagnostics redacted = row_count;

    update log.quarantine q
       set body = convert_to('{"erased": true}', 'UTF8'),
           state = case q.state when 'open' then 'discarded' else q.state end,
           closed_at = coalesce(q.closed_at, transaction_timestamp())
     where (q.product_id = product or q.product_id is null)
       and log.names(q.body, whose);
    get diagnostics set_aside = row_count;

    perform 1 from log.head for update;
    select coalesce(max(e.position), 0) into head from log.events e;
    if head > seen_to then
        whose := log.person(product, person, with_texts);
        with late as (
            update log.events e
               set envelope = r.envelope, data = r.data, raw = null, erased_at = transaction_timestamp()
              from log.redactions(product, whose, seen_to, head) r
             where e.position = r.position
               and e.product_id = product
            returning 1
        )
        select redacted + count(*) into redacted from late;
    end if;

    update log.erasures x
       set events = redacted, quarantined = set_aside
     where x.id = erasure.id
    returning * into erasure;
    return erasure;
end
$$;

-- Redact what arrives of a person who was erased, in the transaction that records it. Costs one look at an
-- empty table as long as nobody was.
create function log.suppress_added() returns trigger language plpgsql as $$
declare
    found  record;
begin
    if not exists (select 1 from log.suppressions) then
        return null;
    end if;
    for found in
        select a.product_id, s.user_id, array_agg(distinct a.position) as positions,
               row(s.user_id, s.texts,
                   array(select w.id from log.suppressed_writings w
                          where w.product_id = s.product_id and w.user_id = s.user_id and w.kind = 'feedback_id'),
                   array(select w.id from log.suppressed_writings w
                          where w.product_id = s.product_id and w.user_id = s.user_id and w.kind = 'comment_id'),
                   array(select w.id from log.suppressed_writings w
                          where w.product_id = s.product_id and w.user_id = s.user_id and w.kind = 'satisfaction_id'),
                   '{}'::text[])::log.person as whose
          from added a
         cross join lateral (
               select 'user_id' as kind, a.entity_id as id where a.entity = 'user'
               union
               select 'user_id', i #>> '{}' from jsonb_path_query(a.data, '$.**.user_id') i
               union
               select 'feedback_id', i #>> '{}' from jsonb_path_query(a.data, '$.**.feedback_id') i
               union
               select 'comment_id', i #>> '{}' from jsonb_path_query(a.data, '$.**.comment_id') i
               union
               select 'satisfaction_id', i #>> '{}' from jsonb_path_query(a.data, '$.**.satisfaction_id') i
               ) as m (kind, id)
          left join log.suppressed_writings w
            on w.product_id = a.product_id and w.kind = m.kind and w.id = m.id
          join log.suppressions s
            on s.product_id = a.product_id and s.user_id = case m.kind when 'user_id' then m.id else w.user_id end
         group by a.product_id, s.product_id, s.user_id, s.texts
    loop
        perform log.suppress(found.product_id, found.whose, found.positions);
    end loop;
    return null;
end
$$;

create function log.suppress(product bigint, whose log.person, positions bigint[]) returns void
language plpgsql as $$
declare
    first     bigint := (select min(p) from unnest(positions) p);
    last      bigint := (select max(p) from unnest(positions) p);
    redacted  bigint;
begin
    if not exists (select 1 from log.redactions(product, whose, first - 1, last)) then
        return;
    end if;
    insert into log.erasures (product_id, user_digest, reason, texts, replayed_at)
    values (product, sha256(convert_to(product || ':' || whose.user_id, 'UTF8')), 'suppressed on arrival', whose.texts,
            transaction_timestamp());
    update log.events e
       set envelope = r.envelope, data = r.data, raw = null, erased_at = transaction_timestamp()
      from log.redactions(product, whose, first - 1, last) r
     where e.position = r.position
       and e.product_id = product;
    get diagnostics redacted = row_count;
    update log.erasures x
       set events = redacted
     where x.transaction = pg_current_xact_id()
       and x.user_digest = sha256(convert_to(product || ':' || whose.user_id, 'UTF8'))
       and x.requested_at = transaction_timestamp();
end
$$;

create trigger suppress_added after insert on log.events
    referencing new table as added
    for each statement execute function log.suppress_added();

-- A delivery that is no event goes the same way.
create function log.suppress_quarantined() returns trigger language plpgsql as $$
begin
    if exists (select 1
                 from log.suppressions s
                where (s.product_id = new.product_id or new.product_id is null)
                  and log.names(new.body, row(s.user_id, s.texts, '{}', '{}', '{}', '{}')::log.person))
    then
        new.body := convert_to('{"erased": true}', 'UTF8');
        new.state := 'discarded';
        new.closed_at := transaction_timestamp();
    end if;
    return new;
end
$$;

create trigger suppress_quarantined before insert on log.quarantine
    for each row execute function log.suppress_quarantined();
