-- Totals that an event took to a bound.

-- name: hits
-- Events that took a total from below a rule's bound to it or beyond.
select fact.position, fact.product_id, fact.item_id, fact.occurred_at,
       rule.number - 1 as rule, rule.metric, rule.gte, gain.now as value
  from {event_facts} as fact
 cross join unnest(:metrics, :bounds, :withins) with ordinality as rule(metric, gte, within, number)
 cross join lateral (
       select :total_of(item) as total from :after
        where item.product_id = fact.product_id and item.item_id = fact.item_id) as a
  left join lateral (
       select :total_of(item) as total from :before
        where item.product_id = fact.product_id and item.item_id = fact.item_id) as b on true
  left join lateral (
       select :total_of(item) as total from :earlier
        where rule.within is not null and item.product_id = fact.product_id and item.item_id = fact.item_id) as e on true
 cross join lateral (
       -- What was never told before may have been anything; only a new item starts at nothing.
       select a.total as now, coalesce(b.total, case when fact.action = 'item.create' then 0 end) as before,
              case when rule.within is null then 0 else coalesce(e.total, 0) end as earlier) as value
 cross join lateral (select value.now - value.earlier as now, value.before - value.earlier as before) as gain
 where fact.item_id is not null
   and gain.before < rule.gte
   and gain.now >= rule.gte

-- name: total_of
case rule.metric when 'NET_VOTES' then :row.votes_net when 'UPVOTES' then :row.votes_up when 'COMMENTS' then :row.comments
     when 'SUBSCRIBERS' then :row.subscribers else :row.events end
