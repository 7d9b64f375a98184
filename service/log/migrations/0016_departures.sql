-- Cells: products that leave this log for another one, which a replica of it becomes.

-- What splits a cell, kept on both sides: the copy that the new cell has of it says what it is.
create table log.splits (
    id            uuid        primary key,
    cell          text        not null check (cell <> ''),
    from_cell     text        not null check (from_cell <> ''),
    products      bigint[]    not null check (cardinality(products) > 0),
    fenced_at     timestamptz not null default clock_timestamp(),
    promoting_at  timestamptz,
    ended_at      timestamptz
);
create unique index splits_one_at_a_time on log.splits ((true)) where ended_at is null;

comment on table log.splits is 'How this cell was split, or what it was split from.';
comment on column log.splits.promoting_at is 'When the replica was told to take writes; null while all can be undone.';
comment on column log.splits.ended_at is 'When the new cell took its products, there; when this one was rid of them, here.';

-- The products of which nothing is appended here: on their way to another cell, or there.
create table log.departures (
    product_id   bigint      primary key,
    cell         text        not null check (cell <> ''),
    split        uuid        not null references log.splits (id),
    left_at      timestamptz,
    released_at  timestamptz
);

comment on table log.departures is 'Products that other cells have, or are about to have.';
comment on column log.departures.left_at is 'Since when the other cell answers for it; null while it is on its way, and read here.';
comment on column log.departures.released_at is 'When its rows in the read model were let go of; its events stay.';

-- Deliveries of such products, acknowledged here, until they are recorded where the product is.
create table log.held (
    id           bigint      generated always as identity primary key,
    product_id   bigint      not null,
    received_at  timestamptz not null,
    origin       text        not null,
    body         bytea       not null,
    held_at      timestamptz not null default clock_timestamp()
);

comment on column log.held.body is 'The bytes as received.';

-- Hold deliveries of products that have left. Returns false, and holds none, where one of them is here again: it is then
-- to be appended. Whoever lets a product come back takes the lock first, so that all that was held before is seen.
create function log.hold(product_ids bigint[], received_ats timestamptz[], origins text[], bodies bytea[])
returns boolean
language plpgsql
set enable_seqscan = off
as $$
begin
    perform 1 from log.head for update;
    if exists (select
                 from unnest(product_ids) as i (product_id)
                where not exists (select from log.departures d where d.product_id = i.product_id))
    then
        return false;
    end if;
    insert into log.held (product_id, received_at, origin, body)
    select i.product_id, i.received_at, i.origin, i.body
      from unnest(product_ids, received_ats, origins, bodies) as i (product_id, received_at, origin, body);
    return true;
end
$$;

-- Record a batch of deliveries.
--
--   first                 where the first event stands, and the others behind it in their order, when all
--                         were new; else null, and
--   positions, duplicates say what became of each, as log.append does
--
-- Raises RC003 where a product of the batch has left for another cell, and records nothing; the detail says which, and
-- for where. The rest is as 0006 has it.
create or replace function log.append_batch(deliveries log.delivery[], untimed_window interval,
                                 out first bigint, out positions bigint[], out duplicates boolean[])
language plpgsql
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    total        bigint := cardinality(deliveries);
    parsed       jsonb[];
    ready_to     bigint;
    newest       bigint;
    newest_at    timestamptz;
    appended_at  timestamptz;
    added        bigint;
    elsewhere    jsonb;
begin
    -- Reading JSON waits for nobody: the batches of an import are read side by side and only recorded one
    -- after the other. It costs a little more in all, so a small batch is spared it; of a huge one, what was
    -- read might not fit into an array.
    if total >= 200 and pg_column_size(deliveries) < 64 * 1024 * 1024 then
        parsed := array(select i.body::jsonb from (select (unnest(deliveries)).body) i);
    end if;

    select h.partitioned_to - greatest(h.partition_rows / 2, 1) into ready_to from log.head h for update;

    -- Under the lock, so that once a departure is committed nothing of its product comes after it.
    if exists (select from log.departures) then
        select jsonb_object_agg(d.product_id, d.cell)
          into elsewhere
          from log.departures d
         where d.product_id in (select (i.delivery).product_id from (select unnest(deliveries) as delivery) i);
        if elsewhere is not null then
            raise exception using
                errcode = 'RC003',
                message = 'a product of the batch lives on another cell',
                detail = elsewhere::text;
        end if;
    end if;

    select e.position, e.recorded_at
      into newest, newest_at
      from log.events e
     order by e.position desc
     limit 1;
    newest := coalesce(newest, 0);
    appended_at := greatest(clock_timestamp(), newest_at);

    begin
        insert into log.deliveries (product_id, digest, received_at, first_received_at, position)
        select (i.delivery).product_id, (i.delivery).digest, '-infinity', (i.delivery).received_at,
               newest + i.ordinal
          from (select unnest(deliveries) as delivery, generate_series(1, total) as ordinal) i
         where not (i.delivery).assumed
               -- A subquery, so that the plan can only be one index lookup for each.
           and (select d.position
                  from log.deliveries d
                 where d.digest = (i.delivery).digest
                   and d.product_id = (i.delivery).product_id
                   and d.received_at > '-infinity'
                 limit 1) is null;
        get diagnostics added = row_count;
        if added < total then
            raise exception using errcode = 'RC002';
        end if;

        if newest + total >= ready_to then
            perform log.have_partitions(newest + total);
        end if;

        insert into log.events (position, product_id, action, entity, entity_id, occurred_at, occurred_assumed,
                                recorded_at, origin, digest, envelope, data, raw)
        select newest + i.ordinal, (i.delivery).product_id, (i.delivery).action, (i.delivery).entity,
               (i.delivery).entity_id, (i.delivery).occurred_at, (i.delivery).assumed, appended_at,
               (i.delivery).origin, (i.delivery).digest, i.body - 'data', i.body -> 'data', (i.delivery).raw
          from (select i.delivery, i.ordinal, coalesce(i.parsed, (i.delivery).body::jsonb) as body
                  from (select unnest(deliveries) as delivery, unnest(parsed) as parsed,
                               generate_series(1, total) as ordinal) i
                offset 0) i; -- so that the text is read once, not once for each use

        perform pg_notify('recount_head', (newest + total)::text);
        first := newest + 1;
        return;
    exception when unique_violation or sqlstate 'RC002' then
        null; -- Known, there twice, or without a time: all that was inserted is undone.
    end;

    select array_agg(a.position order by a.ordinal), array_agg(a.duplicate order by a.ordinal)
      into positions, duplicates
      from log.append(deliveries, untimed_window) a;
end
$$;
