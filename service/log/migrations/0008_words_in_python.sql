-- Names and addresses in texts are found by the service (service/operate/words.py), which knows Unicode's word
-- boundaries whatever the database's locale is. What stays here is what is said of a person's own id, which is redacted
-- on arrival too, and the quick look that finds the rows worth a closer one.

drop function log.erase(bigint, text, boolean, text, uuid);
drop function log.erase_all(bigint, text[], boolean, text, uuid[]);
drop function log.redact(bigint, log.person[], bigint, bigint);
drop function log.person(bigint, text, boolean);

-- The members that tell who somebody is, and those that hold somebody.
create function log.telling_who() returns text[]
language sql immutable
return array['data_id', 'data_name', 'data_full_name', 'data_mail', 'data_img', 'data_system',
             'name', 'full_name', 'mail', 'email', 'phone', 'img', 'avatar', 'ip', 'lat', 'lng',
             'city', 'address', 'country', 'browser', 'user_agent', 'referrer', 'meta'];

create function log.holding_people() returns text[]
language sql immutable
return array['user', 'author', 'voter', 'subscriber', 'commenter', 'owner'];

-- What JSON says about a person, gone: `said` without who they are. Three rules, at any depth:
--   an object that is the person keeps its ids, counts and clocks only;
--   an object that is something of theirs loses what tells who they are, and its texts if they are to go;
--   an object that is somebody else, or is somebody else's, keeps what tells who that is.
create or replace function log.redacted(said jsonb, whose log.person, is_user boolean default false) returns jsonb
language plpgsql immutable as $$
declare
    theirs  boolean;
    wrote   boolean;
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
                                         when jsonb_typeof(m.value) in ('object', 'array')
                                         then log.redacted(m.value, whose, m.key = any (log.holding_people()))
                                         else m.value
                                    end), '{}')
                  from jsonb_each(said) m
                 where not (theirs or wrote)
                    or not m.key = any (log.telling_who()));
    elsif jsonb_typeof(said) = 'array' then
        return (select coalesce(jsonb_agg(log.redacted(m.value, whose, is_user) order by m.ordinal), '[]')
                  from jsonb_array_elements(said) with ordinality as m (value, ordinal));
    end if;
    return said;
end
$$;

-- What every text in small letters is like in which this is found: its runs of ASCII letters and digits, which no escape
-- and no composition takes apart. '%' where there is none, which every text is like.
create function log.alike(called text) returns text
language sql immutable
return '%' || coalesce((select string_agg(m.run[1] || '%', '' order by m.place)
                          from regexp_matches(lower(normalize(called, nfc) collate "C"), '[0-9a-z]+', 'g')
                               with ordinality m (run, place)), '');

-- What the text of an event that says something of a person is like, in small letters. An id ends where the text of
-- jsonb goes on with a comma or ends the object.
create or replace function log.needles(whose log.person) returns text[]
language sql immutable
return array(
    select distinct '%' || replace(replace(replace(lower(w.said collate "C"), '\', '\\'), '%', '\%'), '_', '\_') || w.ending
      from (select unnest(log.as_written('user_id', whose.user_id))
            union all
            select unnest(log.as_written('feedback_id', i.id) || log.as_written('id', i.id))
              from unnest(whose.items) i (id) where whose.texts
            union all
            select unnest(log.as_written('comment_id', c.id)) from unnest(whose.comments) c (id) where whose.texts
            union all
            select unnest(log.as_written('satisfaction_id', a.id)) from unnest(whose.answers) a (id) where whose.texts
           ) n (said)
     cross join lateral (values (n.said, ',%'), (n.said, '}%')) w (said, ending)
    union
    select log.alike(t.trace) from unnest(whose.traces) t (trace)
);

-- Whether bytes name the person by their id, be they cut off or no JSON at all.
create or replace function log.names(body bytea, whose log.person) returns boolean
language sql immutable
return encode(body, 'escape') ~ format('"user_id"\s*:\s*("%1$s"|%1$s[^0-9])', log.quoted(whose.user_id));

drop function log.as_word(text);
drop function log.delimiters();
drop function log.text_of(bytea);

-- Where each of these people may be named after `first` and up to `last`: their place in the list and a position.
-- Small letters are those of ASCII alone: what other letters become depends on the database's locale.
create or replace function log.mentioned(product bigint, people log.person[], first bigint, last bigint)
returns table (ordinal int, "position" bigint)
language plpgsql stable as $$
#variable_conflict use_column
declare
    whose    int[];
    needles  text[];
    begins   text[];
begin
    -- Up to its first wildcard a needle is a text as it stands, and that is looked for sooner than `like` does it.
    select array_agg(i), array_agg(n.needle),
           array_agg(regexp_replace((regexp_match(n.needle, '^%((?:[^\\%]|\\.)*)'))[1], '\\(.)', '\1', 'g'))
      into whose, needles, begins
      from generate_subscripts(people, 1) i
     cross join lateral unnest(log.needles(people[i])) n (needle);
    return query
    select distinct h.ordinal, h.position
      from (
           -- What an event says is put into words once, whatever the planner thinks of it: that is most of the work.
           select n.ordinal, t.position
             from (select e.position, lower((e.envelope::text || e.data::text) collate "C") as said
                     from log.events e
                    where e.product_id = product and e.position > first and e.position <= last
                   offset 0) t
            cross join unnest(whose, needles, begins) n (ordinal, needle, begins)
            where case when strpos(t.said, n.begins) > 0 then t.said like n.needle end
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
              and (log.names(e.raw, people[i])
                   or exists (select 1
                                from unnest((people[i]).traces) t (trace)
                               where lower(encode(e.raw, 'escape') collate "C") like log.alike(t.trace)))
           ) h;
end
$$;

-- What is left of a body after each of these people.
create function log.left_after(body jsonb, is_user boolean, people log.person[]) returns jsonb[]
language plpgsql immutable as $$
declare
    whose  log.person;
    said   jsonb := body;
    steps  jsonb[] := '{}';
begin
    foreach whose in array people loop
        -- Most are found by a name in a text: of these nothing is said by id.
        if not is_user
           and cardinality(whose.items || whose.comments || whose.answers) = 0
           and not exists (select 1
                             from unnest(log.as_written('user_id', whose.user_id)) n (said)
                            where strpos(body::text, n.said) > 0)
        then
            steps := steps || said;
            continue;
        end if;
        said := log.redacted(said - 'data', whose)
                || case when said ? 'data' then jsonb_build_object('data', log.redacted(said -> 'data', whose, is_user)) else '{}' end;
        steps := steps || said;
    end loop;
    return steps;
end
$$;

-- A body with the texts at these places put in, or what is there taken out: [{"path": ["data", "title"], "text": "…"}].
create function log.changed(body jsonb, changes jsonb) returns jsonb
language plpgsql immutable as $$
declare
    change  jsonb;
    place   text[];
begin
    for change in select * from jsonb_array_elements(changes) loop
        place := array(select jsonb_array_elements_text(change -> 'path'));
        body := case when change ? 'text' then jsonb_set(body, place, change -> 'text', false) else body #- place end;
    end loop;
    return body;
end
$$;
