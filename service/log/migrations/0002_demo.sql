-- Marks a log that holds the demo's made-up board, so that a demo killed half way goes on with the
-- same one, and made-up events never enter a log that holds real ones.

create table log.demo (
    only_row     boolean     primary key default true check (only_row),
    seed         bigint      not null,
    ending       timestamptz not null,
    events       bigint      not null,
    started_at   timestamptz not null default clock_timestamp(),
    finished_at  timestamptz
);

comment on column log.demo.ending is 'The moment that the made-up history ends at; seed and ending give the same bytes again.';
comment on column log.demo.events is 'How many events the history has.';
comment on column log.demo.finished_at is 'When the last event of the history was recorded; null while it is being written.';
