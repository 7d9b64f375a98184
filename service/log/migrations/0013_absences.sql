-- What a comparison with Sleekplan's API did not find listed any more: noted at a first look, settled at a second.

create table log.sweep_absences (
    sweep_id    uuid         not null references log.sweeps (id) on delete cascade,
    kind        text         not null,
    item_id     text         not null default '',
    id          text         not null,
    state       text         not null default 'NOTED' check (state in ('NOTED', 'GONE', 'UNSURE')),
    evidence    text         not null default 'list',
    not_before  timestamptz  not null,
    seen_at     timestamptz,
    not_after   timestamptz,
    primary key (sweep_id, kind, item_id, id)
);

comment on column log.sweep_absences.state is 'NOTED at the first look; GONE by the second; UNSURE where that could not tell.';
comment on column log.sweep_absences.not_before is 'When it was seen to stand last; it went between that and `not_after`.';

alter table log.sweep_scopes add column whole boolean not null default false;

comment on column log.sweep_scopes.whole is 'Whether all that stood was listed, or told to be gone: a later sweep counts from here.';
