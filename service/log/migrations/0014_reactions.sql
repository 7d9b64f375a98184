-- Reactions: how far each rule of RECOUNT_REACTIONS has told what it tells, so that it goes on there after a stop.

create table log.reactions (
    name           text         primary key,
    position       bigint       not null,
    ordinal        integer      not null default 0,
    told_to        timestamptz  not null default clock_timestamp(),
    state          text         not null default 'RUNNING' check (state in ('RUNNING', 'PAUSED', 'STOPPED')),
    revision       bigint       not null default 1,
    in_file        boolean      not null default true,
    attempts       integer      not null default 0,
    failing_since  timestamptz,
    problem        text,
    sent           bigint       not null default 0,
    sent_at        timestamptz,
    made_at        timestamptz  not null default clock_timestamp()
);

comment on column log.reactions.position is 'All up to it is told; with an ordinal, only so many messages of its own.';
comment on column log.reactions.told_to is 'Of a rule that tells at set times: the last of them that it told, or when it began.';
comment on column log.reactions.state is 'PAUSED by somebody, STOPPED by itself because of the problem.';
comment on column log.reactions.revision is 'Rises when somebody sets its place: whoever sends begins anew there, and notes nothing of before.';
comment on column log.reactions.in_file is 'Whether the file had it when it was last read; its place is kept all the same.';
comment on column log.reactions.attempts is 'How often what is to be told next was not taken.';
comment on column log.reactions.failing_since is 'When that was tried first; null where nothing failed.';

-- What a rule gave up and went on behind.
create table log.reactions_skipped (
    id          bigint       primary key generated always as identity,
    reaction    text         not null references log.reactions (name) on delete cascade,
    position    bigint       not null,
    ordinal     integer      not null,
    reason      text         not null,
    skipped_at  timestamptz  not null default clock_timestamp()
);
create index reactions_skipped_by_reaction on log.reactions_skipped (reaction, id);
