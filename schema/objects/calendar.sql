-- The steps of a series, in the calendar of a zone.

-- name: buckets
-- The steps of a series, in the calendar of a zone. An hour that a change of clocks leaves out is none, one that comes
-- twice is two; a day, a week or a month begins at the first of two midnights. None begins after the moment that is read,
-- and there is none where the window ends before anything happened.
-- More than 10,000 fail, as part of a series would look like the whole: by a cast whose complaint is told as a
-- BadArgument. The number is in it lest Postgres cast it while planning.
select step.starts_at, step.ends_at
  from (
       select begun.starts_at, lead(begun.starts_at, 1, 'infinity') over (order by begun.starts_at) as ends_at,
              count(*) over () as steps
         from (
              select distinct start.starts_at
                from (:starts_of) as start_of
               cross join lateral (values (start_of.earlier), (case when :bucket = 'hour' then start_of.later end)) as start(starts_at)
              ) as begun
        where begun.starts_at < :until and begun.starts_at <= :at
       ) as step
 where step.ends_at > greatest(:from, :earliest) and :until > greatest(:from, :earliest) and :at >= greatest(:from, :earliest)
   and case when step.steps > 10000 then ('too many steps of a ' || :bucket || ': ' || step.steps)::boolean else true end

-- name: starts_of
-- When a zone's clock shows a local time. Where clocks go back it shows some twice: `later` is the second time,
-- `earlier` the first, found by the offset of the day before. A time that they leave out is that of the change.
select shown.*, case when shown.turned at time zone :zone = shown.local then least(shown.turned, shown.later)
                     else shown.later end as earlier
  from (select once.*, (once.local - ((once.later - interval '1 day') at time zone :zone
                                      - (once.later - interval '1 day') at time zone 'UTC')) at time zone 'UTC' as turned
          from (select given.*, given.local at time zone :zone as later from (:locals) as given) as once) as shown

-- name: local_starts
select generate_series(date_trunc(:bucket, (greatest(:from, :earliest) at time zone :zone)),
                       (least(:until, :at) at time zone :zone), ('1 ' || :bucket)::interval) as local
 limit 10001
