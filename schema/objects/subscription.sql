-- What subscriptions send, by position.

-- name: events
select fact.position, fact.product_id, fact.action, fact.type, fact.entity, fact.entity_id, fact.item_id, fact.user_id,
       fact.comment_id, fact.changelog_id, fact.satisfaction_id, fact.origin, fact.occurred_at, fact.occurred_assumed,
       fact.recorded_at, fact.changed_fields, fact.erased
  from {event_facts} as fact

-- name: item_changes
select fact.position, fact.product_id, fact.item_id
  from {event_facts} as fact
 where fact.item_id is not null

-- name: matching
-- Whether the item of a change is one that a filter asks for, before or after it.
exists (select 1 from :source where item.product_id = change.product_id and item.item_id = change.item_id and (:filter))
