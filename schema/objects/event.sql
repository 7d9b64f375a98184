-- What events are read from as of a moment, and what one changed.

-- name: then
select fact.position, fact.product_id, fact.action, fact.type, fact.entity, fact.entity_id, fact.item_id, fact.user_id,
       fact.comment_id, fact.changelog_id, fact.satisfaction_id, fact.origin, fact.occurred_at, fact.occurred_assumed,
       fact.recorded_at, fact.changed_fields, fact.erased
  from {event_facts} as fact
 where :known(fact)

-- name: deliveries
(select 1 + coalesce(sum(again.copies), 0) from log.redeliveries as again
  where again.position = event.position and again.product_id = event.product_id)

-- name: change_of
-- What an edit said, and what was known of the same fields just before it.
(select json_build_array(event.changed_fields, told.befores, told.afters)
   from :versions as own
  cross join lateral (
        select json_object_agg(changed.name, case when :shown then (
                   select to_json(o) -> changed.name
                     from :versions as o
                    where o.product_id = own.product_id and o.:id = own.:id and o.position < own.position
                      and (:key(o)) < (:key(own))
                      and to_json(o) ->> changed.name is not null
                      and :told
                    order by :key_desc(o) limit 1) end) as befores,
               json_object_agg(changed.name, case when :shown then to_json(own) -> changed.name end) as afters
          from unnest(event.changed_fields) as changed(name)
        ) as told
  where own.product_id = event.product_id and own.:id = event.:id
    and own.occurred_at = event.occurred_at and own.position = event.position)

-- name: visible
-- What a comment was while it was a private note stays with those who saw it.
exists (select from {event_facts} as seen where seen.position = o.position)

-- name: unless_personal
:personal or changed.name not in ('data_id', 'full_name', 'mail', 'custom', 'system', 'notify')

-- name: change_of_vote
(select json_build_array(array['value'], json_build_object('value', (
            select case when not o.withdrawn then :before end from {vote_versions} as o
             where o.product_id = own.product_id and o.item_id = own.item_id and o.voter = own.voter
               and o.position < own.position
               and (:key(o)) < (:key(own))
             order by :key_desc(o) limit 1)),
        json_build_object('value', case when not own.withdrawn then own.value end))
   from {vote_versions} as own
  where own.product_id = event.product_id and own.item_id = event.item_id and own.position = event.position)

-- name: changes
case when event.type in ('VOTE_CHANGED', 'VOTE_WITHDRAWN') then :vote
     when event.changed_fields is null or event.changed_fields = '{}' then null
     when event.entity = 'item' then :item
     when event.entity = 'comment' then :comment
     when event.entity = 'changelog' then :changelog
     when event.entity = 'user' then :user end

-- name: envelope
(select stored.envelope::text from log.events as stored
  where stored.position = event.position and stored.product_id = event.product_id)

-- name: data
(select stored.data::text from log.events as stored
  where stored.position = event.position and stored.product_id = event.product_id)

-- name: observed
-- Of what was fetched alone: in a body that was delivered, a member of this name is Sleekplan's.
case when event.origin in ('BACKFILL', 'RECONCILE') then (
    select (stored.envelope -> 'observed')::text from log.events as stored
     where stored.position = event.position and stored.product_id = event.product_id) end

-- name: same_as
(select told.same_as from {event_facts} as told where told.position = event.position)

-- name: title_of_item
(select about.title from :items(title) as about
  where about.product_id = event.product_id and about.item_id = event.item_id)

-- name: name_of_user
(select who.name from :users(name) as who
  where who.product_id = event.product_id and who.user_id = event.user_id)

-- name: status_said
(select said.status from {item_contents} as said
  where said.product_id = event.product_id and said.item_id = event.item_id
    and said.occurred_at = event.occurred_at and said.position = event.position)

-- name: value_of_vote
case when event.entity = 'vote' then (
    select :direction from {vote_versions} as own
     where own.product_id = event.product_id and own.item_id = event.item_id and own.position = event.position) end

-- name: draft_of_entry
case when event.entity = 'changelog' then (
    select own.draft from {changelog_versions} as own
     where own.product_id = event.product_id and own.changelog_id = event.changelog_id
       and own.occurred_at = event.occurred_at and own.position = event.position) end

-- name: title_of_entry
(select said.title from :changelog_entries() as said
  where said.product_id = event.product_id and said.changelog_id = event.changelog_id)
