-- Sweeps: runs that ask Sleekplan's REST API how a board is and record what no webhook told. What is here says how
-- far each has come, so that it goes on there after a stop; what it learned is in the log, like anything else.

create table log.sweeps (
    id           uuid         primary key default gen_random_uuid(),
    product_id   bigint       not null,
    kind         text         not null check (kind in ('BACKFILL', 'RECONCILE')),
    asked        jsonb        not null,
    state        text         not null default 'RUNNING'
                              check (state in ('RUNNING', 'COMPLETE', 'PARTIAL', 'ABANDONED')),
    started_at   timestamptz  not null default clock_timestamp(),
    moved_at     timestamptz  not null default clock_timestamp(),
    finished_at  timestamptz,
    head         bigint       not null,
    requests     bigint       not null default 0,
    recorded     bigint       not null default 0,
    problem      text,
    check ((finished_at is null) = (state = 'RUNNING'))
);
create index sweeps_by_start on log.sweeps (started_at);

comment on column log.sweeps.asked is 'What it is to bring, as the command was called: it is resumed by the same call.';
comment on column log.sweeps.state is 'RUNNING until it ended, also where its process was stopped; PARTIAL where something is missing.';
comment on column log.sweeps.head is 'The newest position when it began.';
comment on column log.sweeps.recorded is 'How many events it recorded.';

-- Each list that a sweep walks: of the board, or of an item.
create table log.sweep_scopes (
    sweep_id   uuid         not null references log.sweeps (id) on delete cascade,
    scope      text         not null,
    item_id    text         not null default '',
    phase      smallint     not null,
    place      bigint       generated always as identity,
    state      text         not null default 'OPEN'
                            check (state in ('OPEN', 'DONE', 'FAILED', 'FORBIDDEN', 'GONE')),
    promised   bigint,
    rows       bigint       not null default 0,
    next_page  integer,
    seen_from  timestamptz,
    seen_to    timestamptz,
    problem    text,
    primary key (sweep_id, scope, item_id)
);
create index sweep_scopes_open on log.sweep_scopes (sweep_id, phase, place) where state = 'OPEN';

comment on column log.sweep_scopes.phase is 'They are walked by phase, and within one as they were found.';
comment on column log.sweep_scopes.promised is 'How many rows the item''s totals promise; null where nothing says.';
comment on column log.sweep_scopes.next_page is 'The page to go on with; null: from the first.';
comment on column log.sweep_scopes.seen_from is 'When its first page was asked for, by Sleekplan''s clock; seen_to: its last.';
