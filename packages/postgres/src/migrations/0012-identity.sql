-- People, how they prove who they are, and what they belong to.
--
--   nemo_identity  what signing in runs as: sees users, sessions and who is a member where, and nothing of what organizations own
do $$
begin
  begin
    create role nemo_identity nologin noinherit;
  exception
    when duplicate_object or unique_violation then null;
  end;
  grant nemo_identity to current_user;
end
$$;
grant usage on schema nemo to nemo_identity;

-- There is a user when the address was proven to be his: sign-ups wait elsewhere until then. No password: he comes by another way in.
create table users (
  id uuid primary key,
  email text not null check (length(email) between 3 and 254),
  name text not null check (length(name) between 1 and 200),
  password_hash text,
  -- Sealed under NEMO_MASTER_KEY. Asked for once it was confirmed.
  totp_secret bytea,
  totp_confirmed_at timestamptz,
  -- The last time step that a code was taken of: none is taken twice.
  totp_last_step bigint,
  is_operator boolean not null default false,
  -- Credits to begin with are given once to a person, whatever he founds.
  sign_up_grant_at timestamptz,
  created_at timestamptz not null default now()
);
create unique index users_email on users (lower(email));

-- Codes for who lost his authenticator, each good once. Kept as SHA-256, as every random secret here.
create table recovery_codes (
  user_id uuid not null references users on delete cascade,
  hash bytea not null check (octet_length(hash) = 32),
  used_at timestamptz,
  primary key (user_id, hash)
);

create table sessions (
  id uuid primary key,
  user_id uuid not null references users on delete cascade,
  hash bytea not null unique check (octet_length(hash) = 32),
  address text not null check (length(address) <= 100),
  user_agent text not null default '' check (length(user_agent) <= 500),
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sessions_user on sessions (user_id, id);

-- Who asked for an account, until the link in the mail is followed. Any number may wait for one address: the link decides which it is.
create table sign_ups (
  hash bytea primary key check (octet_length(hash) = 32),
  email text not null check (length(email) between 3 and 254),
  name text not null check (length(name) between 1 and 200),
  organization_name text not null check (length(organization_name) between 1 and 200),
  password_hash text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index sign_ups_expired on sign_ups (expires_at);

create table password_resets (
  hash bytea primary key check (octet_length(hash) = 32),
  user_id uuid not null references users on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index password_resets_user on password_resets (user_id);

-- When each bucket of a rate limit is empty again (the generic cell rate algorithm). What a crash loses of it is no loss.
create unlogged table rate_limits (
  bucket bytea primary key,
  empty_at timestamptz not null
);
create index rate_limits_empty on rate_limits (empty_at);

-- What the operator decided for the whole platform. What isn't here has its default.
create table platform_settings (
  name text primary key check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
  value jsonb not null,
  updated_at timestamptz not null default now()
);

alter table organizations
  -- Its keys don't work, and its members may only look.
  add column suspended_at timestamptz,
  -- Asked to be deleted: after that time it is, until then it can be taken back.
  add column delete_after timestamptz,
  -- What was personal is gone; what the law wants kept of money is here.
  add column deleted_at timestamptz;
create trigger access_changed after update of suspended_at, delete_after, deleted_at on organizations
  for each row execute function notify_config_changed('organization');

-- A user is a member of one organization at most.
create table members (
  organization_id uuid not null references organizations,
  user_id uuid not null references users,
  role text not null check (role in ('owner', 'admin', 'member', 'viewer')),
  created_at timestamptz not null default now(),
  primary key (organization_id, user_id)
);
create unique index members_one_organization on members (user_id);

-- An organization keeps an owner. Whoever changes one waits for whoever changes another, so that two can't leave together.
create function keep_an_owner() returns trigger
  language plpgsql set search_path = nemo, pg_temp
as $$
begin
  if old.role <> 'owner' or (tg_op = 'UPDATE' and new.role = 'owner') then
    return null;
  end if;
  perform pg_advisory_xact_lock(hashtextextended('owners of ' || old.organization_id, 0));
  if not exists (select 1 from members m where m.organization_id = old.organization_id and m.role = 'owner')
     and not exists (select 1 from organizations o where o.id = old.organization_id and o.deleted_at is not null) then
    raise exception 'an organization keeps an owner' using errcode = 'NM001';
  end if;
  return null;
end
$$;
create trigger keep_an_owner after update of role or delete on members for each row execute function keep_an_owner();

create table invitations (
  id uuid primary key,
  organization_id uuid not null references organizations,
  email text not null check (length(email) between 3 and 254),
  role text not null check (role in ('owner', 'admin', 'member', 'viewer')),
  hash bytea not null unique check (octet_length(hash) = 32),
  -- Null when the operator invited.
  invited_by uuid references users on delete set null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  accepted_at timestamptz,
  revoked_at timestamptz,
  check (accepted_at is null or revoked_at is null)
);
create index invitations_organization on invitations (organization_id, id);
create unique index invitations_one_open on invitations (organization_id, lower(email)) where accepted_at is null and revoked_at is null;

-- Tokens for automation. They are what their user is in the organization, and end with his membership.
create table personal_tokens (
  id uuid primary key,
  organization_id uuid not null,
  user_id uuid not null,
  name text not null check (length(name) between 1 and 200),
  hash bytea not null unique check (octet_length(hash) = 32),
  hint text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  foreign key (organization_id, user_id) references members (organization_id, user_id) on delete cascade
);
create index personal_tokens_user on personal_tokens (organization_id, user_id, id);

-- A team that isn't used any more is put away, and its name is free again: keys and logs go on naming it.
alter table teams add column archived_at timestamptz;
alter table teams drop constraint teams_organization_id_name_key;
create unique index teams_name on teams (organization_id, name) where archived_at is null;
create policy default_team_stays on teams as restrictive for update to nemo_app using (name <> 'Default') with check (name <> 'Default');

do $$
declare
  t text;
begin
  foreach t in array array['members', 'invitations', 'personal_tokens'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format('create policy tenant on %I to nemo_app using (organization_id = current_organization())
                    with check (organization_id = current_organization())', t);
    execute format('create policy operator on %I to nemo_operator using (true) with check (true)', t);
    execute format('create policy identity on %I to nemo_identity using (true) with check (true)', t);
  end loop;
end
$$;

-- A tenant sees the users who are its members, and of those no secret.
alter table users enable row level security;
alter table users force row level security;
create policy tenant on users for select to nemo_app
  using (exists (select 1 from members m where m.user_id = users.id and m.organization_id = current_organization()));
create policy operator on users to nemo_operator using (true) with check (true);
create policy identity on users to nemo_identity using (true) with check (true);
create policy identity on organizations for select to nemo_identity using (true);

grant select (id, email, name, totp_confirmed_at, created_at) on users to nemo_app;
grant select on members to nemo_app;
grant update (role), delete on members to nemo_app;
grant select (id, organization_id, email, role, invited_by, created_at, expires_at, accepted_at, revoked_at) on invitations to nemo_app;
grant insert (id, organization_id, email, role, hash, invited_by, expires_at), update (revoked_at) on invitations to nemo_app;
grant select (id, organization_id, user_id, name, hint, created_at, expires_at, last_used_at) on personal_tokens to nemo_app;
grant insert (id, organization_id, user_id, name, hash, hint, expires_at), delete on personal_tokens to nemo_app;
grant insert (id, organization_id, name), update (name, archived_at) on teams to nemo_app;
grant update (name, delete_after) on organizations to nemo_app;

grant select, insert, update on users to nemo_identity;
grant select, insert, update, delete on recovery_codes, sessions, sign_ups, password_resets, rate_limits to nemo_identity;
grant select on members, invitations, platform_settings to nemo_identity;
grant select, update (last_used_at), delete on personal_tokens to nemo_identity;
grant select (id, name, slug, suspended_at, delete_after, deleted_at) on organizations to nemo_identity;

grant select, insert, update on users, members, invitations to nemo_operator;
grant delete on members, invitations, personal_tokens, sessions, sign_ups, users to nemo_operator;
grant select on sign_ups, personal_tokens to nemo_operator;
grant select (id, user_id, created_at, last_seen_at, expires_at) on sessions to nemo_operator;
grant select, insert, update, delete on platform_settings to nemo_operator;
