-- As 0011 says. Each partition has a check of its own as well, which does not go with that of the whole.

alter table log.events validate constraint events_origin;
alter table log.quarantine validate constraint quarantine_origin;
alter table log.quarantine drop constraint quarantine_origin_check;
alter table log.events drop constraint events_origin_check;

do $$
declare
    part regclass;
begin
    for part in select c.conrelid::regclass
                  from pg_catalog.pg_constraint c
                  join pg_catalog.pg_inherits i on i.inhrelid = c.conrelid
                 where i.inhparent = 'log.events'::regclass
                   and c.conname = 'events_origin_check'
    loop
        execute format('alter table %s drop constraint events_origin_check', part);
    end loop;
end
$$;
