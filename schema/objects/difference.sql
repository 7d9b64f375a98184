-- What differs between two moments.

-- name: differs
-- What differs between two moments, item by item.
select coalesce(b.product_id, a.product_id) as product_id, coalesce(b.item_id, a.item_id) as item_id,
       case when b.item_id is null then 'ADDED' when a.item_id is null then 'REMOVED' else 'CHANGED' end as kind,
       array_remove(array[
           case when a.title is distinct from b.title then 'title' end,
           case when a.description is distinct from b.description then 'description' end,
           case when a.status is distinct from b.status then 'status' end,
           case when a.type is distinct from b.type then 'type' end,
           case when a.effort is distinct from b.effort then 'effort' end,
           case when a.tags is distinct from b.tags then 'tags' end,
           case when a.owner_id is distinct from b.owner_id then 'owner' end,
           case when a.estimated is distinct from b.estimated then 'estimated' end,
           case when a.merged_into is distinct from b.merged_into then 'mergedInto' end,
           case when a.votes_net is distinct from b.votes_net then 'votes' end,
           case when a.comments is distinct from b.comments then 'commentCount' end], null) as names,
       json_build_object('title', b.title, 'description', b.description, 'status', b.status, 'type', b.type,
           'effort', b.effort, 'tags', b.tags, 'owner', b.owner_id, 'estimated', b.estimated,
           'mergedInto', b.merged_into, 'votes', b.votes_net, 'commentCount', b.comments) as before,
       json_build_object('title', a.title, 'description', a.description, 'status', a.status, 'type', a.type,
           'effort', a.effort, 'tags', a.tags, 'owner', a.owner_id, 'estimated', a.estimated,
           'mergedInto', a.merged_into, 'votes', a.votes_net, 'commentCount', a.comments) as after
  from (select item.product_id, item.item_id, item.title, item.description, item.status, item.type, item.effort,
               item.tags, nullif(item.owner_id, '') as owner_id, nullif(item.estimated, '') as estimated,
               item.merged_into, item.votes_net, item.comments
          from :before where :visible(item) and not item.deleted) as b
  full join (select item.product_id, item.item_id, item.title, item.description, item.status, item.type, item.effort,
               item.tags, nullif(item.owner_id, '') as owner_id, nullif(item.estimated, '') as estimated,
               item.merged_into, item.votes_net, item.comments
          from :after where :visible(item) and not item.deleted) as a
    on a.product_id = b.product_id and a.item_id = b.item_id
 where a.item_id is null or b.item_id is null
    or (a.title, a.description, a.status, a.type, a.effort, a.tags, a.owner_id, a.estimated, a.merged_into, a.votes_net,
        a.comments)
       is distinct from (b.title, b.description, b.status, b.type, b.effort, b.tags, b.owner_id, b.estimated, b.merged_into,
        b.votes_net, b.comments)

-- name: of_kind
-- The first 500 of those that were added, removed or changed.
select diffs.product_id, diffs.item_id, diffs.names, diffs.before, diffs.after
  from diffs
 where diffs.kind = :kind
 order by diffs.product_id, diffs.item_id
 limit 500

-- name: count_of_kind
(select count(*)::int from diffs where diffs.kind = :kind)
