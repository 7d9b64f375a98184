-- Forgetting many people costs little more than forgetting one: the log is looked through twice for all of them,
-- once for their ids and once for whatever else they are called, instead of twice for each. No index is kept for
-- it: whoever appends would pay for that, and a name in somebody else's text is found by no index of ids.

-- How a person may be written in the text of an event, in small letters, so that one search finds where a
-- closer look pays.
create function log.needles(whose log.person) returns text[]
language sql immutable
return array(
    select distinct lower(n.needle)
      from (select unnest(log.as_written('user_id', whose.user_id))
            union all
            select trim(both '"' from to_jsonb(t.trace)::text) from unnest(whose.traces) t (trace)
            union all
            select unnest(log.as_written('feedback_id', i.id) || log.as_written('id', i.id))
              from unnest(whose.items) i (id) where whose.texts
            union all
            select unnest(log.as_written('comment_id', c.id)) from unnest(whose.comments) c (id) where whose.texts
            union all
            select unnest(log.as_written('satisfaction_id', a.id)) from unnest(whose.answers) a (id) where whose.texts
           ) n (needle)
);

-- Where each of these people may be named after `first` and up to `last`: their place in the list and a position.
create function log.mentioned(product bigint, people log.person[], first bigint, last bigint)
returns table (ordinal int, "position" bigint)
language plpgsql stable as $$
#variable_conflict use_column
declare
    whose    int[];
    needles  text[];
begin
    select array_agg(i), array_agg(n.needle) into whose, needles
      from generate_subscripts(people, 1) i
     cross join lateral unnest(log.needles(people[i])) n (needle);
    return query
    select distinct h.ordinal, h.position
      from (
           -- What an event says is put into words once, whatever the planner thinks of it: that is most of the work.
           select n.ordinal, t.position
             from (select e.position, lower(e.envelope::text) || lower(e.data::text) as said
                     from log.events e
                    where e.product_id = product and e.position > first and e.position <= last
                   offset 0) t
            cross join unnest(whose, needles) n (ordinal, needle)
            where strpos(t.said, n.needle) > 0
            union all
           select p.ordinality::int, e.position
             from log.events e
             join unnest(people) with ordinality p on p.user_id in (e.entity_id, e.data ->> 'id')
            where e.product_id = product and e.position > first and e.position <= last
              and e.entity in ('user', 'changelog_subscriber')
            union all
           select i, e.position
             from log.events e
            cross join generate_subscripts(people, 1) i
            where e.product_id = product and e.position > first and e.position <= last
              and e.raw is not null
              and log.names(e.raw, people[i])
           ) h;
end
$$;

-- What is left of these events without the person; those that say nothing of them are left out.
create function log.redacted_events(product bigint, whose log.person, positions bigint[])
returns table ("position" bigint, envelope jsonb, data jsonb)
language sql stable as $$
    select f.position, f.new_envelope, f.new_data
      from (
           select e.position, e.envelope, e.data, e.raw,
                  log.redacted(e.envelope, whose) as new_envelope,
                  log.redacted(e.data, whose, e.entity in ('user', 'changelog_subscriber')) as new_data
             from log.events e
            where e.product_id = product
              and e.position = any (positions)
           ) f
     where (f.new_envelope, f.new_data) is distinct from (f.envelope, f.data)
        or f.raw is not null
$$;

-- The events after `first` and up to `last` that say something of a person, and what is left of each.
create or replace function log.redactions(product bigint, whose log.person, first bigint, last bigint)
returns table ("position" bigint, envelope jsonb, data jsonb)
language sql stable as $$
    select r.position, r.envelope, r.data
      from log.redacted_events(product, whose, array(select m.position from log.mentioned(product, array[whose], first, last) m)) r
$$;

-- What these events tell of a person: what they wrote, and by what else they are called.
create function log.person_within(product bigint, person text, with_texts boolean, positions bigint[]) returns log.person
language sql stable as $$
    with objects as materialized (
        select o.said, e.entity
          from log.events e
         cross join lateral jsonb_path_query(e.envelope || jsonb_build_object('data', e.data), '$.**') as o (said)
         where e.product_id = product
           and e.position = any (positions)
           and jsonb_typeof(o.said) = 'object'
    ),
    theirs as (
        select s.said
          from objects s
         where s.said ->> 'user_id' = person
            or s.entity in ('user', 'changelog_subscriber') and s.said ->> 'id' = person
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
    select row(
           person, with_texts,
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
           )::log.person
$$;

-- People of whom no more than their ids is known.
create function log.by_id(persons text[], with_texts boolean) returns log.person[]
language sql immutable
return array(select row(p.id, with_texts, '{}', '{}', '{}', '{}')::log.person
               from unnest(persons) with ordinality p (id, place) order by p.place);

-- Everything the log knows that belongs to these people, in their order.
create function log.people(product bigint, persons text[], with_texts boolean, last bigint) returns log.person[]
language sql stable as $$
    with found as materialized (
        select m.ordinal, array_agg(m.position) as positions
          from log.mentioned(product, log.by_id(persons, with_texts), 0, last) m
         group by m.ordinal
    )
    select array(select log.person_within(product, persons[i], with_texts, coalesce(f.positions, '{}'))
                   from generate_subscripts(persons, 1) i
                   left join found f on f.ordinal = i
                  order by i)
$$;

create or replace function log.person(product bigint, person text, with_texts boolean) returns log.person
language sql stable as $$
    select (log.people(product, array[person], with_texts, (select coalesce(max(e.position), 0) from log.events e)))[1]
$$;

-- Redact these people between two positions; returns how many events of each changed. Part of log.erase_all.
create function log.redact(product bigint, people log.person[], first bigint, last bigint) returns bigint[]
language plpgsql as $$
declare
    changed   bigint[] := array_fill(0::bigint, array[cardinality(people)]);
    redacted  bigint;
    found     record;
begin
    for found in
        select m.ordinal, array_agg(m.position order by m.position) as positions
          from log.mentioned(product, people, first, last) m
         group by m.ordinal
    loop
        update log.events e
           set envelope = r.envelope, data = r.data, raw = null, erased_at = transaction_timestamp()
          from log.redacted_events(product, people[found.ordinal], found.positions) r
         where e.position = r.position
           and e.product_id = product;
        get diagnostics redacted = row_count;
        changed[found.ordinal] := redacted;
    end loop;
    return changed;
end
$$;

-- Have these people redacted on arrival from now on. Part of log.erase_all.
create function log.suppress_people(product bigint, people log.person[], erasures uuid[]) returns void
language sql as $$
    insert into log.suppressions as s (product_id, user_id, erasure, texts)
    select product, (people[i]).user_id, erasures[i], (people[i]).texts
      from generate_subscripts(people, 1) i
    on conflict (product_id, user_id) do update
       set erasure = excluded.erasure, texts = s.texts or excluded.texts;
    insert into log.suppressed_writings (product_id, kind, id, user_id)
    select product, w.kind, w.id, (people[i]).user_id
      from generate_subscripts(people, 1) i
     cross join lateral (
           select 'feedback_id', unnest((people[i]).items)
           union all
           select 'comment_id', unnest((people[i]).comments)
           union all
           select 'satisfaction_id', unnest((people[i]).answers)
           ) as w (kind, id)
    on conflict do nothing;
$$;

-- Forget people: the one way in which log.events changes. Returns their lines in log.erasures, in their order.
--
-- Applied twice, it does no harm. Whatever is appended meanwhile is either seen by the second look, which holds
-- the lock of the appends and is short, or comes after it and finds the suppressions.
create function log.erase_all(product bigint, persons text[], with_texts boolean, why text, known_as uuid[])
returns setof log.erasures
language plpgsql as $$
declare
    erasures   uuid[] := array(select coalesce(known_as[i], gen_random_uuid()) from generate_subscripts(persons, 1) i order by i);
    people     log.person[];
    late       log.person[];
    counts     bigint[];
    more       bigint[];
    set_aside  bigint;
    seen_to    bigint;
    head       bigint;
    named_late int[];
begin
    insert into log.erasures (id, product_id, user_digest, reason, texts)
    select erasures[i], product, sha256(convert_to(product || ':' || persons[i], 'UTF8')), why, with_texts
      from generate_subscripts(persons, 1) i;

    select coalesce(max(e.position), 0) into seen_to from log.events e;
    people := log.people(product, persons, with_texts, seen_to);
    perform log.suppress_people(product, people, erasures);
    counts := log.redact(product, people, 0, seen_to);

    for i in 1 .. cardinality(persons) loop
        update log.quarantine q
           set body = convert_to('{"erased": true}', 'UTF8'),
               state = case q.state when 'open' then 'discarded' else q.state end,
               closed_at = coalesce(q.closed_at, transaction_timestamp())
         where (q.product_id = product or q.product_id is null)
           and log.names(q.body, people[i]);
        get diagnostics set_aside = row_count;
        update log.erasures x set quarantined = set_aside where x.id = erasures[i];
    end loop;

    perform 1 from log.head for update;
    select coalesce(max(e.position), 0) into head from log.events e;
    if head > seen_to then
        counts := array(select e + m from unnest(counts, log.redact(product, people, seen_to, head)) with ordinality u (e, m, place)
                         order by place);
        select array_agg(distinct m.ordinal) into named_late
          from log.mentioned(product, log.by_id(persons, with_texts), seen_to, head) m;
        if named_late is not null then
            -- Somebody was named meanwhile, perhaps by another name: a look at everything finds that one as well.
            late := log.people(product, persons, with_texts, head);
            late := array(select row(l.user_id, l.texts, l.items || p.items, l.comments || p.comments,
                                     l.answers || p.answers, l.traces || p.traces)::log.person
                            from unnest(late) with ordinality l
                            join unnest(people) with ordinality p on p.ordinality = l.ordinality
                           order by l.ordinality);
            perform log.suppress_people(product, late, erasures);
            more := log.redact(product, late, 0, head);
            counts := array(select e + m from unnest(counts, more) with ordinality u (e, m, place) order by place);
        end if;
    end if;

    update log.erasures x
       set events = u.events
      from unnest(erasures, counts) u (id, events)
     where x.id = u.id;
    return query
    select x.* from unnest(erasures) with ordinality u (id, place) join log.erasures x on x.id = u.id order by u.place;
end
$$;

create or replace function log.erase(product bigint, person text, with_texts boolean, why text, known_as uuid default null)
returns log.erasures
language sql as $$
    select * from log.erase_all(product, array[person], with_texts, why, array[known_as])
$$;
