-- Most batches hold nothing that the log knows. For them, telling so is what appending cost most of, after
-- reading JSON: log.append looks each delivery up, numbers them over windows and goes through the batch four
-- times. log.append_batch numbers them as if all were new and leaves it to the primary key of log.deliveries
-- to object; only then does log.append decide, exactly. It took a tenth to a fifth less of the processor.

-- The few recorded without a usable timestamp. A body may be one of them although it has a time now: it was
-- too far ahead then. In the primary key both look alike only up to received_at.
create index deliveries_untimed on log.deliveries (digest, product_id) where received_at > '-infinity';

-- Record a batch of deliveries.
--
--   first                 where the first event stands, and the others behind it in their order, when all
--                         were new; else null, and
--   positions, duplicates say what became of each, as log.append does
--
-- Its statements take their snapshots one by one, those after the lock behind the append before us, as in
-- log.append. Rows come out of the array by `unnest` in the select list: from there it hands them on where
-- they lie, and in the from clause it would copy them all.
create function log.append_batch(deliveries log.delivery[], untimed_window interval,
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
begin
    -- Reading JSON waits for nobody: the batches of an import are read side by side and only recorded one
    -- after the other. It costs a little more in all, so a small batch is spared it; of a huge one, what was
    -- read might not fit into an array.
    if total >= 200 and pg_column_size(deliveries) < 64 * 1024 * 1024 then
        parsed := array(select i.body::jsonb from (select (unnest(deliveries)).body) i);
    end if;

    select h.partitioned_to - greatest(h.partition_rows / 2, 1) into ready_to from log.head h for update;

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
