-- Which events may tell of people is found by the service (service/operate/mentions.py), in one look at what an event says
-- however many they are: here every event was compared with every name of each. What stays is what is said of a person's own
-- id, which is redacted on arrival too.

drop function log.mentioned(bigint, log.person[], bigint, bigint);
drop function log.needles(log.person);
drop function log.alike(text);
drop function log.people(bigint, text[], boolean, bigint);
drop function log.by_id(text[], boolean);
drop function log.redactions(bigint, log.person, bigint, bigint);

-- What is left of a body after each of these people, of whom it says something by id.
create or replace function log.left_after(body jsonb, is_user boolean, people log.person[]) returns jsonb[]
language plpgsql immutable as $$
declare
    whose  log.person;
    said   jsonb := body;
    steps  jsonb[] := '{}';
begin
    foreach whose in array people loop
        said := log.redacted(said - 'data', whose)
                || case when said ? 'data' then jsonb_build_object('data', log.redacted(said -> 'data', whose, is_user)) else '{}' end;
        steps := steps || said;
    end loop;
    return steps;
end
$$;

drop function log.as_written(text, text);

-- What is left of these events without the person; those that say nothing of them are left out.
create or replace function log.redacted_events(product bigint, whose log.person, positions bigint[])
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
        or log.names(f.raw, whose)
$$;

-- Redact what arrives of a person who was erased, in the transaction that records it. Costs one look at an
-- empty table as long as nobody was. An object that holds somebody may name them as `id`, and bytes by a key given twice.
create or replace function log.suppress_added() returns trigger language plpgsql as $$
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
               select 'user_id', i #>> '{}' from jsonb_path_query(a.data, '$.**.id') i
               union
               select 'user_id', m.id[1]
                 from regexp_matches(encode(a.raw, 'escape'), '"user_id"\s*:\s*"?([^",}\s]+)', 'g') m (id)
               union
               select 'feedback_id', i #>> '{}' from jsonb_path_query(a.data, '$.**.feedback_id') i
               union
               select 'feedback_id', i #>> '{}' from jsonb_path_query(a.data, '$.**.id') i
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

create or replace function log.suppress(product bigint, whose log.person, positions bigint[]) returns void
language plpgsql as $$
declare
    redacted  bigint;
begin
    if not exists (select 1 from log.redacted_events(product, whose, positions)) then
        return;
    end if;
    insert into log.erasures (product_id, user_digest, reason, texts, replayed_at)
    values (product, sha256(convert_to(product || ':' || whose.user_id, 'UTF8')), 'suppressed on arrival', whose.texts,
            transaction_timestamp());
    update log.events e
       set envelope = r.envelope, data = r.data, raw = null, erased_at = transaction_timestamp()
      from log.redacted_events(product, whose, positions) r
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
