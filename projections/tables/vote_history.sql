-- Every vote event, as it was told and by how much it moved the votes known when it came. What one does not say of the
-- direction and of when the vote was cast is null: reads fill it, as `votes` says.

-- name: tables
create table {vote_versions} (
    product_id   bigint      not null,
    item_id      text        not null,
    voter        text        not null,
    user_id      text,
    occurred_at  timestamptz not null,
    is_delete    boolean     not null,
    updated_at   timestamptz not null,
    position     bigint      not null,
    newest       boolean     not null,
    value        smallint,
    withdrawn    boolean     not null,
    cast_at      timestamptz,
    effect_up    smallint    not null,
    effect_down  smallint    not null
);

-- name: indexes
create unique index on {vote_versions}
    (product_id, item_id, voter, occurred_at, is_delete, updated_at, position);
create index on {vote_versions} (product_id, item_id, position);
create index on {vote_versions} (product_id, user_id, occurred_at) where user_id is not null;
create index on {vote_versions} (position) where not newest;

-- name: apply.versions
-- only with: vote
insert into {vote_versions} (
    product_id, item_id, voter, user_id, occurred_at, is_delete, updated_at, position, newest,
    value, withdrawn, cast_at, effect_up, effect_down
)
select product_id, item_id, voter, user_id, occurred_at, is_delete, updated_at, position, newest,
       value, withdrawn, cast_at, effect_up, effect_down
  from {ballots};
