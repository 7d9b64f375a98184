-- The log: every delivery as it came, in one order, for good.
--
-- `log` is permanent and only ever migrated forward. Everything in the schema `read_model` can be
-- dropped and counted again from here.

-- The list of migrations already lives in `log` when the first of them runs. Both schemas may have been made for
-- us: `if not exists` would want the right to make schemas all the same.
do $$
begin
    if to_regnamespace('read_model') is null then
        create schema read_model;
    end if;
end
$$;

-- One row that every append locks, so that positions are given out one append at a time and a
-- reader that has seen 41 never meets a new 40. It is locked, not updated: under one old snapshot
-- (a pg_dump) updating it made appends three times slower. Only a new partition writes to it.
create table log.head (
    only_row        boolean primary key default true check (only_row),
    partition_rows  bigint  not null default 10000000 check (partition_rows > 0),
    partitioned_to  bigint  not null default 1
);
insert into log.head default values;

comment on table log.head is 'One row, locked by every append, so that positions follow the order of commits.';
comment on column log.head.partition_rows is 'How many positions the next partition of log.events takes.';
comment on column log.head.partitioned_to is 'The first position that no partition takes yet.';

create table log.events (
    position          bigint      not null check (position > 0),
    product_id        bigint      not null,
    action            text        not null,
    entity            text        not null,
    entity_id         text,
    occurred_at       timestamptz not null,
    occurred_assumed  boolean     not null,
    recorded_at       timestamptz not null,
    origin            text        not null check (origin in ('WEBHOOK', 'IMPORT', 'BACKFILL')),
    digest            bytea       not null,
    envelope          jsonb       not null,
    data              jsonb       not null,
    raw               bytea,
    erased_at         timestamptz,
    primary key (position, product_id)
) partition by range (position);

comment on table log.events is 'One row an event, in commit order without gaps. Refuses UPDATE, DELETE and TRUNCATE.';
comment on column log.events.position is '1, 2, 3 … without gaps; the next one follows the newest, read under the lock of log.head.';
comment on column log.events.entity is 'What the action is about: its part before the dot.';
comment on column log.events.entity_id is 'Sleekplan''s id of it; for votes and subscriptions the item''s. Null when the body names none.';
comment on column log.events.occurred_at is 'Sleekplan''s clock, from the envelope''s timestamp.';
comment on column log.events.occurred_assumed is 'True where the body had no usable timestamp and the time of receipt stands in.';
comment on column log.events.recorded_at is 'Our clock, read under the lock; never before the previous event''s.';
comment on column log.events.digest is 'SHA-256 of the body as received.';
comment on column log.events.envelope is 'The body without its member "data", as sent.';
comment on column log.events.data is 'The body''s member "data", as sent.';
comment on column log.events.raw is 'The body''s bytes, only where jsonb cannot say the same.';
comment on column log.events.erased_at is 'When a person''s data was redacted from this event.';

-- Which deliveries the log already holds. A body with a usable timestamp is the same delivery for
-- ever (received_at is -infinity); one without is the same only near its time of receipt, so each
-- recording of it has a row of its own.
create table log.deliveries (
    product_id         bigint      not null,
    digest             bytea       not null,
    received_at        timestamptz not null,
    first_received_at  timestamptz not null,
    position           bigint      not null,
    primary key (product_id, digest, received_at)
);

comment on column log.deliveries.received_at is '-infinity where the body is the same delivery for ever; else when this one was received.';
comment on column log.deliveries.first_received_at is 'When the delivery that was recorded reached us.';

-- How often a recorded delivery came again; the first arrival is not counted.
create table log.redeliveries (
    position    bigint      not null,
    product_id  bigint      not null,
    copies      bigint      not null,
    last_at     timestamptz not null,
    primary key (position, product_id)
);

-- Authenticated deliveries that could not be read as an event, with their bytes.
create table log.quarantine (
    id                uuid        primary key,
    product_id        bigint,
    received_at       timestamptz not null,
    last_received_at  timestamptz not null,
    copies            bigint      not null default 1 check (copies > 0),
    reason            text        not null,
    body              bytea       not null,
    origin            text        not null check (origin in ('WEBHOOK', 'IMPORT', 'BACKFILL')),
    state             text        not null default 'open' check (state in ('open', 'retried', 'discarded')),
    position          bigint,
    closed_at         timestamptz,
    check ((state = 'open') = (closed_at is null)),
    check ((state = 'retried') = (position is not null))
);
create index quarantine_by_receipt on log.quarantine (received_at, id);

comment on column log.quarantine.id is 'From the SHA-256 of the key''s product and the body: the same bytes again are the same row.';
comment on column log.quarantine.product_id is 'The product that the key is bound to, else the one that the body names; null when neither says.';
comment on column log.quarantine.position is 'The event that a retry recorded.';

-- Keys of webhooks and tokens of the API: digests only.
create table log.keys (
    digest        bytea       primary key,
    kind          text        not null check (kind in ('WEBHOOK', 'API')),
    label         text        not null,
    product_id    bigint,
    scopes        text[]      not null default '{}',
    created_at    timestamptz not null default clock_timestamp(),
    expires_at    timestamptz,
    revoked_at    timestamptz,
    last_used_at  timestamptz
);

comment on column log.keys.digest is 'SHA-256 of the secret, which is kept nowhere.';
comment on column log.keys.product_id is 'The one product it is for; null for every product.';

-- Erasures of a person's data: the only changes that log.events takes, each with its reason.
create table log.erasures (
    id            uuid        primary key default gen_random_uuid(),
    product_id    bigint      not null,
    user_digest   bytea,
    reason        text        not null check (reason <> ''),
    requested_at  timestamptz not null default transaction_timestamp(),
    transaction   xid8        not null default pg_current_xact_id(),
    events        bigint      not null default 0
);

comment on table log.erasures is 'Written before, and in the same transaction as, the redaction of the events that it covers.';
comment on column log.erasures.user_digest is 'Tells a re-import apart without keeping the person''s id.';


-- What the log refuses ------------------------------------------------------------------------

-- An update is let through only where it redacts (content and nothing else) and an erasure of the
-- same product was written in the same transaction. The time is compared beside the transaction's
-- number because a restored dump brings numbers of another server along.
create function log.refuse_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        if new.erased_at is not null
           and (new.position, new.product_id, new.action, new.entity, new.occurred_at,
                new.occurred_assumed, new.recorded_at, new.origin, new.digest)
               is not distinct from
               (old.position, old.product_id, old.action, old.entity, old.occurred_at,
                old.occurred_assumed, old.recorded_at, old.origin, old.digest)
           and exists (select 1
                         from log.erasures e
                        where e.product_id = old.product_id
                          and e.transaction = pg_current_xact_id()
                          and e.requested_at = transaction_timestamp())
        then
            return new;
        end if;
    end if;
    raise exception using
        errcode = 'restrict_violation',
        message = format('%s of position %s of log.events refused: what is recorded stays as it was recorded',
                         tg_op, old.position),
        hint = 'To remove a person''s data: recount erase USER. To record something anew, deliver it again.';
end
$$;

create function log.refuse_truncate() returns trigger language plpgsql as $$
begin
    raise exception using
        errcode = 'restrict_violation',
        message = format('TRUNCATE of %I.%I refused: what is recorded stays as it was recorded',
                         tg_table_schema, tg_table_name),
        hint = 'To start an empty log, use another database (RECOUNT_DATABASE_URL) or data folder (RECOUNT_DATA_DIR).';
end
$$;

create trigger refuse_change before update or delete on log.events
    for each row execute function log.refuse_change();
create trigger refuse_truncate before truncate on log.events
    for each statement execute function log.refuse_truncate();


-- Appending -----------------------------------------------------------------------------------

-- Make the next partition of log.events. The caller holds the lock of log.head.
create function log.add_partition() returns void language plpgsql as $$
declare
    first  bigint;
    rows   bigint;
    name   text;
begin
    select h.partitioned_to, h.partition_rows into strict first, rows from log.head h;
    name := format('events_from_%s', first);
    -- `like` and `attach`, because `create … partition of` waits for every reader of log.events.
    execute format('create table log.%I (like log.events including all)', name);
    execute format('alter table log.events attach partition log.%I for values from (%s) to (%s)',
                   name, first, first + rows);
    -- The parent's row triggers come along; its statement triggers do not.
    execute format('create trigger refuse_truncate before truncate on log.%I '
                   'for each statement execute function log.refuse_truncate()', name);
    update log.head set partitioned_to = first + rows where only_row;
end
$$;

create function log.add_partition_unless_busy() returns void language plpgsql
set lock_timeout = '100ms'
as $$
begin
    perform log.add_partition();
exception when lock_not_available then
    null;
end
$$;

-- Have a partition for everything up to `last`, and the one after it in good time.
create function log.have_partitions(last bigint) returns void language plpgsql as $$
declare
    ready_to  bigint;
    rows      bigint;
begin
    loop
        select h.partitioned_to, h.partition_rows into strict ready_to, rows from log.head h;
        exit when last < ready_to;
        perform log.add_partition();
    end loop;
    if last < ready_to - greatest(rows / 2, 1) then
        return;
    end if;
    -- There is time: rather than make every append wait behind whoever holds the table, try again later.
    perform log.add_partition_unless_busy();
end
$$;

-- A delivery before it is recorded, in the order of service.events.EventData.
create type log.delivery as (
    product_id   bigint,
    action       text,
    entity       text,
    entity_id    text,
    occurred_at  timestamptz,
    assumed      boolean,
    digest       bytea,
    body         text,
    raw          bytea,
    received_at  timestamptz,
    origin       text
);

-- Record a batch of deliveries and return what became of each, in their order.
--
--   position   where the event stands; of a duplicate, the first one's. Null for a body without a
--              usable timestamp that follows its equal in this same batch by more than the window:
--              append it again in the next call.
--   duplicate  the delivery was known, or stands earlier in this batch
--
-- A function, not a statement: each of its statements takes a snapshot of its own, and those after
-- the lock see what the holder before us committed. Index scans only, because the plans are made
-- once a connection, often while the tables are empty, and would then read them whole for ever.
-- Deliveries come as one array of rows: an array a column cost the client twice the time. Bodies come as
-- text: read as jsonb on the way in they took twice as long.
create function log.append(deliveries log.delivery[], untimed_window interval)
returns table (ordinal bigint, "position" bigint, duplicate boolean)
language plpgsql
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    newest       bigint;
    newest_at    timestamptz;
    appended_at  timestamptz;
    places       bigint[];
    known        boolean[];
    added        bigint;
begin
    -- A statement of its own: the lookups below must take their snapshot after the append before
    -- us has committed, or two copies of one delivery on two instances are both recorded.
    perform 1 from log.head for update;

    select e.position, e.recorded_at
      into newest, newest_at
      from log.events e
     order by e.position desc
     limit 1;
    newest := coalesce(newest, 0);
    appended_at := greatest(clock_timestamp(), newest_at);

    -- Which are known, and where the rest will stand: without the bodies, which are wide.
    with incoming as materialized (
        select i.ordinal, i.product_id, i.digest, i.assumed, i.received_at,
               -- A subquery for each, so that the plan can only be one index lookup for each.
               (select d.position
                  from log.deliveries d
                 where d.product_id = i.product_id
                   and d.digest = i.digest
                   and (not i.assumed
                        or d.received_at = '-infinity'
                        or d.received_at between i.received_at - untimed_window
                                             and i.received_at + untimed_window)
                 order by d.received_at
                 limit 1) as recorded_as
          from unnest(deliveries) with ordinality
               as i (product_id, action, entity, entity_id, occurred_at, assumed, digest, body, raw,
                     received_at, origin, ordinal)
    ),
    unknown as (
        select i.ordinal, i.assumed, i.received_at,
               first_value(i.ordinal) over same as first_ordinal,
               first_value(i.received_at) over same as first_received_at
          from incoming i
         where i.recorded_as is null
        window same as (partition by i.product_id, i.digest order by i.ordinal)
    ),
    placed as (
        select i.ordinal, i.recorded_as as position, true as known
          from incoming i
         where i.recorded_as is not null
        union all
        -- Copies share the rank, and so the position, of the first of them.
        select u.ordinal,
               case when not u.assumed
                      or u.received_at between u.first_received_at - untimed_window
                                           and u.first_received_at + untimed_window
                    then newest + dense_rank() over (order by u.first_ordinal)
               end,
               u.ordinal > u.first_ordinal
          from unknown u
    )
    select array_agg(p.position order by p.ordinal),
           array_agg(p.known and p.position is not null order by p.ordinal),
           max(p.position) filter (where not p.known)
      into places, known, added
      from placed p;

    if added is not null then
        perform log.have_partitions(added);

        insert into log.events (position, product_id, action, entity, entity_id, occurred_at, occurred_assumed,
                                recorded_at, origin, digest, envelope, data, raw)
        select i.position, i.product_id, i.action, i.entity, i.entity_id, i.occurred_at, i.assumed,
               appended_at, i.origin, i.digest, i.body - 'data', i.body -> 'data', i.raw
          from (select u.position, u.product_id, u.action, u.entity, u.entity_id, u.occurred_at, u.assumed,
                       u.origin, u.digest, u.body::jsonb as body, u.raw
                  from rows from (unnest(places), unnest(known), unnest(deliveries))
                       as u (position, known, product_id, action, entity, entity_id, occurred_at, assumed,
                             digest, body, raw, received_at, origin)
                 where not u.known
                   and u.position is not null
                offset 0) i; -- so that the text is read once, not once for each use

        insert into log.deliveries (product_id, digest, received_at, first_received_at, position)
        select i.product_id, i.digest, case when i.assumed then i.received_at else '-infinity' end,
               i.received_at, i.position
          from rows from (unnest(places), unnest(known), unnest(deliveries))
               as i (position, known, product_id, action, entity, entity_id, occurred_at, assumed, digest,
                     body, raw, received_at, origin)
         where not i.known
           and i.position is not null;

        perform pg_notify('recount_head', added::text);
    end if;

    if true = any (known) then
        insert into log.redeliveries as r (position, product_id, copies, last_at)
        select i.position, i.product_id, count(*), max(i.received_at)
          from rows from (unnest(places), unnest(known), unnest(deliveries))
               as i (position, known, product_id, action, entity, entity_id, occurred_at, assumed, digest,
                     body, raw, received_at, origin)
         where i.known
               -- The delivery that was recorded, drained from the spool once more, has not come again.
           and not exists (select 1
                             from log.deliveries d
                            where d.product_id = i.product_id
                              and d.digest = i.digest
                              and d.position = i.position
                              and d.first_received_at = i.received_at)
         group by i.position, i.product_id
        on conflict on constraint redeliveries_pkey do update
           set copies = r.copies + excluded.copies,
               last_at = greatest(r.last_at, excluded.last_at);
    end if;

    return query
    select p.ordinal, p.position, p.known
      from unnest(places, known) with ordinality as p (position, known, ordinal);
end
$$;

-- Record a batch of an export as it was: at its own positions and times, with its redeliveries. It must
-- go on where the log ends, without a gap. (RC001: it does not; the detail says the two positions.)
create function log.restore(
    positions        bigint[],
    product_ids      bigint[],
    actions          text[],
    entities         text[],
    entity_ids       text[],
    occurred_ats     timestamptz[],
    assumed          boolean[],
    recorded_ats     timestamptz[],
    origins          text[],
    digests          bytea[],
    bodies           text[],
    raws             bytea[],
    erased_ats       timestamptz[],
    copies           bigint[],
    copies_last_ats  timestamptz[]
) returns void
language plpgsql
set enable_seqscan = off
as $$
declare
    newest     bigint;
    newest_at  timestamptz;
    last       bigint := positions[cardinality(positions)];
begin
    perform 1 from log.head for update;

    select e.position, e.recorded_at
      into newest, newest_at
      from log.events e
     order by e.position desc
     limit 1;
    newest := coalesce(newest, 0);
    if positions[1] <> newest + 1
       or last <> newest + cardinality(positions)
       or recorded_ats[1] < newest_at
       or exists (select 1
                    from unnest(positions, recorded_ats) with ordinality as i (position, recorded_at, ordinal)
                   where i.position <> newest + i.ordinal
                      or i.recorded_at < recorded_ats[i.ordinal - 1])
    then
        raise exception using
            errcode = 'RC001',
            message = 'the batch does not go on where the log ends',
            detail = format('%s %s', newest, positions[1]);
    end if;

    perform log.have_partitions(last);

    with incoming as materialized (
        select i.position, i.product_id, i.action, i.entity, i.entity_id, i.occurred_at, i.assumed,
               i.recorded_at, i.origin, i.digest, i.body::jsonb as body, i.raw, i.erased_at,
               i.copies, i.copies_last_at
          from unnest(positions, product_ids, actions, entities, entity_ids, occurred_ats, assumed, recorded_ats,
                      origins, digests, bodies, raws, erased_ats, copies, copies_last_ats)
               as i (position, product_id, action, entity, entity_id, occurred_at, assumed, recorded_at,
                     origin, digest, body, raw, erased_at, copies, copies_last_at)
    ),
    recorded as (
        insert into log.events (position, product_id, action, entity, entity_id, occurred_at, occurred_assumed,
                                recorded_at, origin, digest, envelope, data, raw, erased_at)
        select i.position, i.product_id, i.action, i.entity, i.entity_id, i.occurred_at, i.assumed,
               i.recorded_at, i.origin, i.digest, i.body - 'data', i.body -> 'data', i.raw, i.erased_at
          from incoming i
    ),
    remembered as (
        -- Where no time was told, the time of receipt stands in: that is when it was received.
        insert into log.deliveries (product_id, digest, received_at, first_received_at, position)
        select i.product_id, i.digest, case when i.assumed then i.occurred_at else '-infinity' end,
               case when i.assumed then i.occurred_at else i.recorded_at end, i.position
          from incoming i
    )
    insert into log.redeliveries (position, product_id, copies, last_at)
    select i.position, i.product_id, i.copies, i.copies_last_at
      from incoming i
     where i.copies > 0;

    perform pg_notify('recount_head', last::text);
end
$$;

select log.add_partition();
