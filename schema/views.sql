-- What the views of the schema `board` have beside the fields of GraphQL, and the bookkeeping of their declaration.

-- name: declared
select views
  from read_model.declared;

-- name: note
-- Locks the row, so that of several services one declares.
--   $1 fingerprint
update read_model.declared
   set views = $1;

-- name: there
-- The columns that each view has, in their order: `create or replace` adds others at the end alone.
select c.relname::text as view, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type
  from pg_catalog.pg_class c
  join pg_catalog.pg_attribute a on a.attrelid = c.oid
 where c.relnamespace = to_regnamespace('board')
   and c.relkind = 'v'
   and a.attnum > 0
   and not a.attisdropped
 order by c.relname, a.attnum;

-- name: schema
do $$
begin
    -- Asked first: `if not exists` wants the right to make schemas, which a role that has this one need not have.
    if to_regnamespace('board') is null then
        create schema board;
        comment on schema board is 'The board in SQL, with the names and meanings of Recount''s GraphQL API. Recount keeps it through rebuilds and upgrades.';
    end if;
    if to_regtype('board.clock') is null then
        create type board.clock as enum ('OCCURRED', 'RECORDED');
        comment on type board.clock is 'By which clock a time is meant: OCCURRED is Sleekplan''s, when something happened; RECORDED is ours, when the log learnt of it.';
    end if;
end
$$;

-- name: read_at
select coalesce(min(checkpoint.position), 0) as position
  from read_model.checkpoints as checkpoint
 where checkpoint.built_in

-- name: raw_payload
(select case when jsonb_typeof(stored.envelope) = 'object'
             then stored.envelope || jsonb_build_object('data', stored.data) else stored.data end
   from log.events as stored
  where stored.position = event.position and stored.product_id = event.product_id)

-- name: changed_fields
array(select case told.name :shown else told.name end
        from unnest(event.changed_fields) with ordinality as told (name, place)
       order by told.place)

-- name: revisions
select revision.product_id, revision.item_id, revision.occurred_at, revision.position, revision.up_then,
       revision.down_then, revision.up_now, revision.down_now, changed.field,
       (revision.before -> changed.field)::jsonb as before, (revision.after -> changed.field)::jsonb as after
  from {items} as item
 cross join lateral (:revised) as revision
 cross join lateral unnest(revision.names) as changed (field)

-- name: vote_history
select told.product_id, told.item_id, told.voter, told.user_id, told.type, :direction as value, told.withdrawn,
       told.cast_at, told.occurred_at, fact.recorded_at, told.position
  from {vote_versions} as told
  join {event_facts} as fact on fact.position = told.position

-- name: at_time
-- By Sleekplan's clock all that happened by then, by ours all that was recorded by then.
select case when $2 = 'RECORDED' then :position_at else 9223372036854775807 end as p,
       case when $2 = 'RECORDED' then 'infinity' else $1 end as t,
       $1 as at

-- name: at_position
-- One that is not counted in yet is refused, as its answer would become another one: by a text that is no number, since
-- a function in SQL raises nothing.
select known.p, 'infinity'::timestamptz as t, coalesce(:time_at, now()) as at
  from (select case when $1 > read.position
                    then ('position ' || $1 || ' is ahead of what is counted in (' || read.position ||
                          '): ask for an earlier one, or once read_at has come to it')::bigint
                    else $1 end as p
          from (:read_at) as read) as known

-- name: function
create or replace function board.:name(:parameters) returns setof board.items
language sql stable security definer set search_path = pg_catalog, pg_temp
as $items$
:select
$items$;
revoke execute on function board.:name(:types) from public;
