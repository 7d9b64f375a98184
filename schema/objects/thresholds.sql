-- Totals that an event took to a bound.

-- name: hits
-- Events that took a total from below a rule's bound to it or beyond.
select fact.position, fact.product_id, fact.item_id, fact.occurred_at,
       rule.number - 1 as rule, rule.metric, rule.gte, gain.now as value
  from {event_facts} as fact
 cross join unnest(:metrics, :bounds, :withins) with ordinality as rule(metric, gte, within, number)
 cross join lateral (
       select :total_of(item) as total, item.created_at from :after
        where item.product_id = fact.product_id and item.item_id = fact.item_id) as a
  left join lateral (
       select :total_of(item) as total from :before
        where item.product_id = fact.product_id and item.item_id = fact.item_id) as b on true
  left join lateral (
       select :total_of(item) as total from :earlier
        where rule.within is not null and item.product_id = fact.product_id and item.item_id = fact.item_id) as e on true
 cross join lateral (
       -- What was never told before may have been anything; only a new item starts at nothing, and our own count of events.
       -- So what was gained counts from what was told first, of an item that was submitted before.
       select a.total as now,
              coalesce(b.total, case when fact.action = 'item.create' or rule.metric = 'ACTIVITY' then 0 end) as before,
              case when rule.within is null then 0
                   else coalesce(e.total, case when a.created_at >= fact.occurred_at - rule.within::interval
                       or b.total is null and fact.action = 'item.create' then 0 else :first_told end) end as earlier) as value
 cross join lateral (select value.now - value.earlier as now, value.before - value.earlier as before) as gain
 where fact.item_id is not null
   and gain.before < rule.gte
   and gain.now >= rule.gte

-- name: total_of
case rule.metric when 'NET_VOTES' then :row.votes_net when 'UPVOTES' then :row.votes_up when 'COMMENTS' then :row.comments
     when 'SUBSCRIBERS' then :row.subscribers else :row.events end

-- name: first_told
-- What was told first of a total, by the order of what is said.
case when rule.metric = 'ACTIVITY' then 0 else (
    select case rule.metric when 'NET_VOTES' then c.votes_up - coalesce(c.votes_down, (
                    select d.votes_down from {item_counts} as d
                     where d.product_id = c.product_id and d.item_id = c.item_id and d.position <= fact.position
                       and d.votes_down is not null and (:key(d)) < (:key(c))
                     order by :key_desc(d) limit 1), 0)
                when 'UPVOTES' then c.votes_up when 'COMMENTS' then c.comments when 'SUBSCRIBERS' then c.subscribers end
      from {item_counts} as c
     where c.product_id = fact.product_id and c.item_id = fact.item_id and c.position <= fact.position
       and case rule.metric when 'COMMENTS' then c.comments when 'SUBSCRIBERS' then c.subscribers else c.votes_up end is not null
     order by :key(c) limit 1) end
