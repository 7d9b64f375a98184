-- How far the log was at a moment, which products it is about, and what not everybody is told. `{event_facts:all}` is all
-- of a table, whoever asks: a moment is the same for everybody.

-- name: position_at
-- The last event that we had recorded at a time.
coalesce((select heard.position from {event_facts:all} as heard
           where heard.recorded_at <= :time order by heard.recorded_at desc, heard.position desc limit 1), 0)

-- name: time_at
-- How far Sleekplan's clock had come at a position: the latest of the last hundred events, so that one
-- late delivery does not turn it back. What was fetched tells of years ago, page after page: when it came counts.
(select max(latest.at)
   from (select case when told.origin in ('BACKFILL', 'RECONCILE') then greatest(told.occurred_at, told.recorded_at)
                     else told.occurred_at end as at
           from {event_facts:all} as told
          where told.position <= :position order by told.position desc limit 100) as latest)

-- name: but_private
-- The rows of a table that tell of no private note. Tables that an older version counted say of none whether it does,
-- until they are rebuilt: there `private` means that of `unsaid`, which is further out, and all is taken for private.
(select own.* from (select true as private) as unsaid
  cross join lateral (select each_row.*, :private as is_private from :table as each_row) as own
  where not own.is_private)

-- name: without_private
-- The rows of a table of now, some columns of which are others without private notes. As above, where nothing says so.
(select own.* from (select false as noted) as unsaid cross join lateral (select :columns from :table as known) as own)
