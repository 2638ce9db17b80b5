-- The application's tables, as the runbooks talk of them, with a few thousand rows.
-- Played once into the template cluster, as the superuser, in database app.

CREATE EXTENSION pg_stat_statements;

CREATE ROLE app_api LOGIN;
CREATE ROLE app_worker LOGIN;
CREATE ROLE app_reports LOGIN;

CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE,
  is_active boolean NOT NULL DEFAULT true, last_login timestamptz,
  created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO users (email, is_active, last_login, created_at)
  SELECT 'user' || i || '@example.com', i % 10 <> 0, now() - i * interval '7 minutes',
         now() - i * interval '2 hours' FROM generate_series(1, 2000) i;

-- mixed case on purpose: one of the products names its table so
CREATE TABLE "User" (
  id text PRIMARY KEY, email text NOT NULL, roles text[] NOT NULL DEFAULT '{user}',
  "isActive" boolean NOT NULL DEFAULT true, "createdAt" timestamptz NOT NULL DEFAULT now(),
  "updatedAt" timestamptz NOT NULL DEFAULT now());
INSERT INTO "User" (id, email, "isActive")
  SELECT md5(i::text), 'User' || i || '@example.com', i % 7 <> 0 FROM generate_series(1, 500) i;

CREATE TABLE sessions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id bigint REFERENCES users,
  created_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz NOT NULL);
INSERT INTO sessions (user_id, created_at, expires_at)
  SELECT 1 + i % 2000, now() - i * interval '5 minutes', now() + (1500 - i) * interval '5 minutes'
  FROM generate_series(1, 3000) i;

CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint REFERENCES users,
  status text NOT NULL, total numeric(12, 2) NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO orders (user_id, status, total, created_at)
  SELECT 1 + i % 2000, (ARRAY['new', 'paid', 'shipped', 'refunded'])[1 + i % 4], i * 1.25,
         now() - i * interval '11 minutes' FROM generate_series(1, 5000) i;

CREATE TABLE events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,
  payload jsonb NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO events (name, payload, created_at)
  SELECT (ARRAY['login', 'search', 'upload', 'purchase'])[1 + i % 4], jsonb_build_object('n', i),
         now() - i * interval '1 minute' FROM generate_series(1, 5000) i;

CREATE TABLE media_items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint REFERENCES users,
  title text NOT NULL, bytes bigint NOT NULL, status text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO media_items (user_id, title, bytes, status, created_at)
  SELECT 1 + i % 2000, 'clip ' || i, i * 4096, (ARRAY['ready', 'processing', 'failed'])[1 + i % 3],
         now() - i * interval '30 minutes' FROM generate_series(1, 1500) i;

CREATE TABLE feature_flags (
  name text PRIMARY KEY, enabled boolean NOT NULL DEFAULT false,
  kill_switch boolean NOT NULL DEFAULT false,
  rollout_percentage integer NOT NULL DEFAULT 0 CHECK (rollout_percentage BETWEEN 0 AND 100));
INSERT INTO feature_flags VALUES
  ('new-search', true, false, 25), ('dark-mode', true, false, 100), ('beta-upload', false, false, 0);

CREATE TABLE audit_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, actor text NOT NULL, action text NOT NULL,
  detail jsonb, created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO audit_logs (actor, action, created_at)
  SELECT 'admin' || i % 5, (ARRAY['login', 'role.change', 'export'])[1 + i % 3],
         now() - i * interval '1 hour' FROM generate_series(1, 1000) i;

CREATE TABLE cost_tracking (
  day date NOT NULL, service text NOT NULL, amount numeric(12, 4) NOT NULL,
  PRIMARY KEY (day, service));
INSERT INTO cost_tracking
  SELECT current_date - i, service, 10 + i * 0.1
  FROM generate_series(0, 89) i, unnest(ARRAY['storage', 'compute', 'ai']) service;

CREATE INDEX orders_user_id ON orders (user_id);
CREATE INDEX events_created_at ON events (created_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public
  TO app_api, app_worker, app_reports;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app_api, app_worker, app_reports;

ANALYZE;
