-- Events that a comparison with Sleekplan's API found have an origin of their own: RECONCILE. Here the wider check is
-- made without a look at the rows that are there, so that nothing waits; the next file looks, and drops the narrower one.

alter table log.events
    add constraint events_origin check (origin in ('WEBHOOK', 'IMPORT', 'BACKFILL', 'RECONCILE')) not valid;
alter table log.quarantine
    add constraint quarantine_origin check (origin in ('WEBHOOK', 'IMPORT', 'BACKFILL', 'RECONCILE')) not valid;
