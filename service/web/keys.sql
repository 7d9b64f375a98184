-- Keys of webhooks and tokens of the API, as digests.

-- name: live
-- Those that open something now, or will again after the clock of the server that expires them.
select digest, kind, label, product_id, scopes, expires_at
  from log.keys
 where revoked_at is null
   and (expires_at is null or expires_at > clock_timestamp())
 order by created_at, digest;

-- name: list
-- All of them, the revoked ones too.
select kind, label, product_id, scopes, created_at, expires_at, revoked_at, last_used_at,
       left(encode(digest, 'hex'), 8) as fingerprint
  from log.keys
 order by created_at, digest;

-- name: lock
-- Changes of keys go one after the other, so that a name stays one key's.
lock table log.keys in share row exclusive mode;

-- name: find
-- The keys of a name that still open something, the newest first.
--   $1 label
select kind, product_id, scopes, digest, expires_at
  from log.keys
 where label = $1
   and revoked_at is null
   and (expires_at is null or expires_at > clock_timestamp())
 order by created_at desc;

-- name: add
--   $1 digest  $2 kind  $3 label  $4 product_id  $5 scopes  $6 expires_at
-- A secret that was revoked before stays revoked.
insert into log.keys (digest, kind, label, product_id, scopes, expires_at)
values ($1, $2, $3, $4, $5, $6);

-- name: expire
-- Let the keys of a name end at a moment, unless they end before it.
--   $1 label  $2 expires_at  $3 but_digest  the one that replaces them
update log.keys
   set expires_at = least(expires_at, $2)
 where label = $1
   and digest <> $3
   and revoked_at is null;

-- name: revoke
-- Let the keys of a name open nothing from now on.
--   $1 label
update log.keys
   set revoked_at = clock_timestamp()
 where label = $1
   and revoked_at is null
returning kind;

-- name: used
-- Note when keys were last used.
--   $1 digests  $2 used_ats
update log.keys k
   set last_used_at = greatest(k.last_used_at, u.used_at)
  from unnest($1::bytea[], $2::timestamptz[]) as u (digest, used_at)
 where k.digest = u.digest;
