-- Votes a day by the mail domain of who voted, as far as the vote event told it.

-- name: tables
create table {votes_by_mail_domain} (
    product_id  bigint not null,
    day         date   not null,
    domain      text   not null,
    votes       int    not null
);

-- name: keys
alter table {votes_by_mail_domain} add primary key (product_id, day, domain);

-- name: apply.count
-- {hot} holds the events of the step, one row each.
--   $1 first and $2 last could be used to read log.events itself: position > $1 and position <= $2
insert into {votes_by_mail_domain} as v (product_id, day, domain, votes)
select h.product_id,
       (h.occurred_at at time zone 'UTC')::date,
       lower(split_part(e.data -> 'user' ->> 'data_mail', '@', 2)),
       count(*)
  from {hot} h
  join log.events e on e.position = h.position and e.product_id = h.product_id
 where h.action = 'vote.create'
   and e.position > $1
   and e.position <= $2
   and e.data -> 'user' ->> 'data_mail' like '%_@_%'
 group by 1, 2, 3
    on conflict (product_id, day, domain) do update
   set votes = v.votes + excluded.votes;
