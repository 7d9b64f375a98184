-- Events that a projection could not apply.

-- name: park
-- Set an event aside; in the transaction that holds the checkpoints.
--   $1 group ('*' for the built-in projections)  $2 position  $3 error
insert into read_model.parked (projection, position, product_id, entity, entity_id, waiting, error)
select $1, e.position, e.product_id, e.entity, e.entity_id, false, $3
  from log.events e
 where e.position = $2
    on conflict (projection, position) do update
   set error = excluded.error,
       waiting = false;

-- name: wait
-- Later events of an entity with a parked one wait with it.
--   $1 group  $2 first  $3 last
insert into read_model.parked (projection, position, product_id, entity, entity_id, waiting, error)
select distinct $1, e.position, e.product_id, e.entity, e.entity_id, true, 'waits for position ' || w.position
  from (
       select product_id, entity, entity_id, min(position) as position
         from read_model.parked
        where projection = $1
          and not waiting
          and entity_id is not null
        group by product_id, entity, entity_id
       ) w
  join log.events e
    on e.product_id = w.product_id
   and e.entity = w.entity
   and e.entity_id = w.entity_id
   and e.position > greatest(w.position, $2)
   and e.position <= $3
    on conflict (projection, position) do nothing;

-- name: list
--   $1 limit, null for none  $2 with those that wait  $3 group, null for all
select projection, position, product_id, entity, entity_id, waiting, error, parked_at
  from read_model.parked
 where ($2 or not waiting)
   and ($3::text is null or projection = $3)
 order by position, projection
 limit $1;

-- name: show
--   $1 position  $2 group, null for the first that has it
select p.projection, p.position, p.product_id, p.entity, p.entity_id, p.waiting, p.error, p.parked_at,
       (select count(*)
          from read_model.parked w
         where w.projection = p.projection
           and w.product_id = p.product_id
           and w.entity = p.entity
           and w.entity_id = p.entity_id
           and w.waiting) as waiting_events
  from read_model.parked p
 where p.position = $1
   and ($2::text is null or p.projection = $2)
 order by p.projection
 limit 1;

-- name: release
-- Take an entity's events out of parking.
--   $1 group  $2 product_id  $3 entity  $4 entity_id  $5 position
delete from read_model.parked
 where projection = $1
   and product_id = $2
   and entity = $3
   and (entity_id = $4 or position = $5)
returning position;
