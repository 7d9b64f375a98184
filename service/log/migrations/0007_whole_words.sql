-- Forgetting a person leaves others alone: who somebody is changes only where it is said of the person's own id, and in
-- all other texts their names and addresses go only as whole words. Until now forgetting `user2` made `[erased]0` of
-- `user20`, and forgetting an@… took the end of susan@….

-- What may stand beside a word, for use between brackets: Unicode's spaces, punctuation and symbols but for dot, hyphen
-- and plus, and the scripts that part words by nothing. Postgres's own classes know no letter beyond ASCII where the database's locale is C.
create function log.delimiters() returns text
language sql immutable
return '\u0001-*,/:-@\[-^`{-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff'
       '\u2e00-\u2e7f\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff0f\uff1a-\uff20'
       '\uff3b-\uff40\uff5b-\uff65';

create function log.quoted(trace text) returns text
language sql immutable
return regexp_replace(trace, '([!-/:-@\[-^`{-~])', '\\\1', 'g');

-- A pattern of a name or an address as a whole word. A dot, hyphen, plus or underscore joins what is beside it to an
-- address; beside a name an underscore alone does.
create function log.as_word(trace text) returns text
language sql immutable
return case
    when trace like '%_@_%' then format('(?<![^%1$s])%2$s(?![-.+_]*[^-.+_%1$s])', log.delimiters(), log.quoted(trace))
    else format('(?<![^-.+%1$s])%2$s(?![^-.+%1$s])', log.delimiters(), log.quoted(trace))
end;

-- What JSON says about a person, gone: `said` without who they are. Four rules, at any depth:
--   an object that is the person keeps its ids, counts and clocks only;
--   an object that is something of theirs loses what tells who they are, and its texts if they are to go;
--   an object that is somebody else, or is somebody else's, keeps what tells who that is;
--   their addresses and names are struck out of every other text, as whole words.
create or replace function log.redacted(said jsonb, whose log.person, is_user boolean default false) returns jsonb
language plpgsql immutable as $$
declare
    who      text;
    theirs   boolean;
    wrote    boolean;
    trace    text;
    text_of  text;
begin
    if jsonb_typeof(said) = 'object' then
        who := coalesce(said ->> 'user_id', case when is_user then said ->> 'id' end, '');
        theirs := who = whose.user_id;
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
                                         when not wrote and who not in ('', '0') and k.tells_who
                                         then m.value
                                         else log.redacted(m.value, whose,
                                                  m.key in ('user', 'author', 'voter', 'subscriber', 'commenter', 'owner'))
                                    end), '{}')
                  from jsonb_each(said) m
                 cross join lateral (select m.key in (
                       'data_id', 'data_name', 'data_full_name', 'data_mail', 'data_img', 'data_system',
                       'name', 'full_name', 'mail', 'email', 'phone', 'img', 'avatar', 'ip', 'lat', 'lng',
                       'city', 'address', 'country', 'browser', 'user_agent', 'referrer', 'meta') as tells_who) k
                 where not (theirs or wrote)
                    or not k.tells_who);
    elsif jsonb_typeof(said) = 'array' then
        return (select coalesce(jsonb_agg(log.redacted(m.value, whose, is_user) order by m.ordinal), '[]')
                  from jsonb_array_elements(said) with ordinality as m (value, ordinal));
    elsif jsonb_typeof(said) = 'string' and cardinality(whose.traces) > 0 then
        text_of := said #>> '{}';
        foreach trace in array whose.traces loop
            if strpos(lower(text_of), lower(trace)) > 0 then
                text_of := regexp_replace(text_of, log.as_word(trace), '[erased]', 'gi');
            end if;
        end loop;
        return to_jsonb(text_of);
    end if;
    return said;
end
$$;

-- A body as text; what is no UTF-8, or holds a NUL, with its other bytes escaped.
create function log.text_of(body bytea) returns text
language plpgsql immutable as $$
begin
    return convert_from(body, 'UTF8');
exception when others then
    return encode(body, 'escape');
end
$$;

-- Whether a body that is no event names the person, be it cut off or no JSON at all.
create or replace function log.names(body bytea, whose log.person) returns boolean
language sql immutable
return encode(body, 'escape') ~ format('"user_id"\s*:\s*("%1$s"|%1$s[^0-9])', log.quoted(whose.user_id))
    or exists (select 1
                 from unnest(whose.traces) t
                where log.text_of(body) ~* log.as_word(t)
                   or encode(body, 'escape') ~* log.as_word(trim(both '"' from to_jsonb(t)::text)));
