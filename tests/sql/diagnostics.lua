--- More real reads: what the source runbooks ask (columns that newer servers renamed by today's names), and what
--- people ask a server in trouble. At most 2 % of these and of tests/sql/reads.lua may be refused.
-- luacheck: no max line length
local diagnostics = {}

diagnostics.setup = {
  "CREATE TABLE auth_tokens (user_id bigint, created_at timestamptz, expires_at timestamptz, last_used timestamptz)",
  "CREATE TABLE admin_users (id bigint, email text, role text, permissions jsonb, last_login timestamptz)",
  "CREATE TABLE audit_logs (action text, user_id bigint, ip_address inet, created_at timestamptz)",
  "CREATE TABLE exam_attempts (id bigint, exam_id bigint, status text, score int)",
  "CREATE TABLE user_activity (user_id bigint, created_at timestamptz)",
  "CREATE TABLE search_history (id bigint, user_id bigint, created_at timestamptz)",
  "CREATE TABLE cost_tracking (service text, user_id bigint, cost numeric, created_at timestamptz)",
  "CREATE TABLE security_audit (created_at timestamptz, what text)",
  "CREATE TABLE members (id bigint PRIMARY KEY, email text, subscription_tier text, created_at timestamptz)",
  "CREATE TABLE clips (id bigint, user_id bigint REFERENCES members, file_size bigint, processing_status text, created_at timestamptz)",
  'CREATE TABLE "User" (id text, email text, roles text[], "updatedAt" timestamptz)',
}

--- As the source runbooks ask.
local runbooks = {
  "SELECT schemaname, relname, indexrelname, idx_tup_read, idx_tup_fetch FROM pg_stat_user_indexes WHERE idx_tup_read = 0 ORDER BY schemaname, relname",
  "SELECT query, calls, total_exec_time, mean_exec_time FROM pg_stat_statements WHERE mean_exec_time > 100 ORDER BY mean_exec_time DESC LIMIT 10",
  "SELECT user_id, created_at, expires_at, last_used FROM auth_tokens WHERE expires_at < NOW() OR last_used < NOW() - INTERVAL '30 days'",
  "SELECT id, email, role, permissions, last_login FROM admin_users WHERE last_login < NOW() - INTERVAL '90 days'",
  "SELECT action, user_id, ip_address, created_at FROM audit_logs WHERE action IN ('login_failed', 'permission_denied', 'suspicious_activity') AND created_at > NOW() - INTERVAL '30 days' ORDER BY created_at DESC",
  "SELECT query, calls, total_exec_time, mean_exec_time, rows FROM pg_stat_statements WHERE mean_exec_time > 100 ORDER BY total_exec_time DESC LIMIT 10",
  "SELECT * FROM exam_attempts WHERE exam_id = 7 AND status = 'completed' ORDER BY score DESC",
  "SELECT query, calls, total_exec_time, mean_exec_time, max_exec_time FROM pg_stat_statements WHERE mean_exec_time > 100 ORDER BY mean_exec_time DESC LIMIT 20",
  "SELECT pid, usename, application_name, client_addr, state, query_start, query FROM pg_stat_activity WHERE state != 'idle' ORDER BY query_start",
  "SELECT * FROM pg_locks WHERE NOT granted",
  "SELECT pid, query_start, state, query FROM pg_stat_activity WHERE state = 'active' ORDER BY query_start",
  "SELECT schemaname, tablename, attname, n_distinct, correlation FROM pg_stats WHERE schemaname = 'public' ORDER BY n_distinct DESC",
  "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'",
  "SELECT COUNT(DISTINCT user_id) as dau FROM user_activity WHERE created_at >= CURRENT_DATE",
  "SELECT COUNT(*) as new_users FROM members WHERE created_at >= CURRENT_DATE",
  "SELECT COUNT(*) as uploads_today, SUM(file_size) / 1024 / 1024 as mb_uploaded FROM clips WHERE created_at >= CURRENT_DATE",
  "SELECT user_id, COUNT(*) as upload_count FROM clips WHERE created_at >= CURRENT_DATE - INTERVAL '7 days' GROUP BY user_id HAVING COUNT(*) > 100 ORDER BY upload_count DESC",
  "SELECT user_id, COUNT(*) as search_count FROM search_history WHERE created_at >= CURRENT_DATE - INTERVAL '1 day' GROUP BY user_id HAVING COUNT(*) > 500",
  "SELECT schemaname, tablename, pg_size_pretty(pg_total_relation_size(schemaname||'.'||tablename)) as size FROM pg_tables WHERE schemaname = 'shop' ORDER BY pg_total_relation_size(schemaname||'.'||tablename) DESC",
  "SELECT service, COUNT(*) as api_calls, SUM(cost) as total_cost, AVG(cost) as avg_cost FROM cost_tracking WHERE created_at >= DATE_TRUNC('month', CURRENT_DATE - INTERVAL '1 month') GROUP BY service ORDER BY total_cost DESC",
  "SELECT u.subscription_tier, COUNT(DISTINCT ct.user_id) as users, SUM(ct.cost) as total_cost, AVG(ct.cost) as avg_cost_per_user FROM cost_tracking ct JOIN members u ON ct.user_id = u.id WHERE ct.created_at >= DATE_TRUNC('month', CURRENT_DATE - INTERVAL '1 month') GROUP BY u.subscription_tier",
  "SELECT schemaname, relname, n_dead_tup, n_live_tup, round((n_dead_tup::float / NULLIF(n_live_tup, 0))::numeric, 4) as dead_ratio FROM pg_stat_user_tables WHERE n_dead_tup > 1000 ORDER BY dead_ratio DESC",
  "SELECT pid FROM pg_stat_activity WHERE state = 'idle' AND state_change < current_timestamp - interval '5 minutes'",
  "SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY usename, application_name ORDER BY count DESC",
  "SELECT 'upload' as operation, COUNT(*) as count FROM clips WHERE processing_status IN ('pending', 'processing') UNION ALL SELECT 'search' as operation, COUNT(*) as count FROM search_history WHERE created_at > NOW() - INTERVAL '1 minute'",
  "SELECT u.email, u.subscription_tier, COUNT(DISTINCT m.id) as media_count, COUNT(DISTINCT s.id) as search_count, MAX(m.created_at) as last_upload, MAX(s.created_at) as last_search FROM members u LEFT JOIN clips m ON u.id = m.user_id LEFT JOIN search_history s ON u.id = s.user_id GROUP BY u.id, u.email, u.subscription_tier",
  [[SELECT id, email, roles, "updatedAt" FROM "User" WHERE "updatedAt" > NOW() - INTERVAL '1 hour' ORDER BY "updatedAt" DESC]],
  "SELECT * FROM security_audit WHERE created_at > NOW() - INTERVAL '1 hour' ORDER BY created_at DESC",
  "SELECT * FROM pg_stat_statements ORDER BY mean_exec_time DESC LIMIT 10",
  "SELECT schemaname, tablename, attname, n_distinct, correlation FROM pg_stats WHERE schemaname = 'public' AND n_distinct > 100 AND correlation < 0.1",
}

--- Who is there, who waits for whom, what takes long.
local sessions = {
  "SELECT state, wait_event_type, wait_event, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC",
  "SELECT datname, count(*) AS used, max(current_setting('max_connections')::int) AS allowed FROM pg_stat_activity GROUP BY datname",
  "SELECT client_addr, client_hostname, client_port, count(*) OVER (PARTITION BY client_addr) FROM pg_stat_activity WHERE client_addr IS NOT NULL",
  "SELECT pid, age(clock_timestamp(), xact_start) AS open_for FROM pg_stat_activity WHERE xact_start IS NOT NULL ORDER BY xact_start LIMIT 5",
  "SELECT pid, backend_xid, backend_xmin, age(backend_xmin) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL ORDER BY age(backend_xmin) DESC",
  "SELECT pid, state, extract(epoch FROM (now() - state_change))::int AS seconds FROM pg_stat_activity WHERE state = 'idle in transaction' AND now() - state_change > '1 min'",
  "SELECT max(now() - xact_start) FROM pg_stat_activity WHERE state IN ('idle in transaction', 'active')",
  "SELECT backend_type, count(*) FROM pg_stat_activity GROUP BY backend_type ORDER BY 2 DESC",
  "SELECT a.pid, a.usename, l.mode, l.locktype, c.relname FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_class c ON c.oid = l.relation WHERE c.relname !~ '^pg_'",
  "SELECT blocked.pid, blocked.query, blocking.pid AS by, blocking.query AS by_query FROM pg_locks bl JOIN pg_stat_activity blocked ON blocked.pid = bl.pid JOIN pg_locks kl ON kl.transactionid = bl.transactionid AND kl.pid <> bl.pid JOIN pg_stat_activity blocking ON blocking.pid = kl.pid WHERE NOT bl.granted",
  "WITH RECURSIVE chain AS (SELECT pid, unnest(pg_blocking_pids(pid)) AS blocker, 1 AS depth FROM pg_stat_activity UNION ALL SELECT c.pid, b.b, c.depth + 1 FROM chain c, LATERAL (SELECT unnest(pg_blocking_pids(c.blocker)) AS b) b WHERE c.depth < 10) SELECT pid, array_agg(blocker ORDER BY depth) FROM chain GROUP BY pid",
  "SELECT relation::regclass, mode, count(*) FROM pg_locks WHERE relation IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 3 DESC",
  "SELECT locktype, classid, objid, mode, granted FROM pg_locks WHERE locktype = 'advisory'",
  "SELECT mode, granted, count(*) FROM pg_locks GROUP BY mode, granted",
  "SELECT pg_safe_snapshot_blocking_pids(pid) FROM pg_stat_activity LIMIT 1",
  "SELECT usesysid, usename, ssl, version, cipher FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)",
  "SELECT gss_authenticated FROM pg_stat_gssapi WHERE pid = pg_backend_pid()",
  "SELECT pg_backend_pid(), inet_server_addr(), inet_server_port(), inet_client_addr(), session_user, current_schema()",
  "SELECT datname, numbackends, xact_commit, xact_rollback, round(100.0 * xact_rollback / nullif(xact_commit + xact_rollback, 0), 2) AS rolled_back FROM pg_stat_database WHERE datname IS NOT NULL",
  "SELECT datname, session_time, active_time, idle_in_transaction_time, sessions_abandoned, sessions_killed FROM pg_stat_database",
  "SELECT datname, confl_lock, confl_snapshot, confl_bufferpin, confl_deadlock FROM pg_stat_database_conflicts",
  "SELECT queryid, calls, stddev_exec_time, shared_blks_hit, shared_blks_read, temp_blks_written FROM pg_stat_statements ORDER BY shared_blks_read DESC LIMIT 20",
  "SELECT substring(query, 1, 60) AS query, round((100 * total_exec_time / sum(total_exec_time) OVER ())::numeric, 1) AS share FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 15",
  "SELECT userid::regrole, dbid, calls, wal_bytes FROM pg_stat_statements ORDER BY wal_bytes DESC NULLS LAST LIMIT 5",
  "SELECT dealloc, stats_reset FROM pg_stat_statements_info",
  "SELECT count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting, count(*) FILTER (WHERE state = 'active') AS active FROM pg_stat_activity",
  "SELECT pid, leader_pid FROM pg_stat_activity WHERE leader_pid IS NOT NULL",
}

--- How large it is, what is dead in it, what is never used.
local storage = {
  "SELECT c.relname, pg_size_pretty(pg_table_size(c.oid)) AS data, pg_size_pretty(pg_indexes_size(c.oid)) AS indexes FROM pg_class c WHERE c.relkind = 'r' ORDER BY pg_total_relation_size(c.oid) DESC LIMIT 10",
  "SELECT n.nspname, sum(pg_total_relation_size(c.oid))::bigint AS bytes FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') GROUP BY 1 ORDER BY 2 DESC",
  "SELECT spcname, pg_tablespace_size(oid), pg_tablespace_location(oid) FROM pg_tablespace",
  "SELECT relname, seq_scan, idx_scan, round(100.0 * idx_scan / nullif(seq_scan + idx_scan, 0), 1) AS by_index FROM pg_stat_user_tables WHERE seq_scan + idx_scan > 0 ORDER BY seq_scan DESC",
  "SELECT relname, heap_blks_hit, heap_blks_read, heap_blks_hit::float / nullif(heap_blks_hit + heap_blks_read, 0) AS hit FROM pg_statio_user_tables ORDER BY heap_blks_read DESC",
  "SELECT indexrelname, idx_blks_read, idx_blks_hit FROM pg_statio_user_indexes ORDER BY 2 DESC LIMIT 10",
  "SELECT s.relname, s.indexrelname FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid) WHERE s.idx_scan = 0 AND NOT i.indisunique AND NOT i.indisprimary",
  "SELECT indrelid::regclass, array_agg(indexrelid::regclass) FROM pg_index GROUP BY indrelid, indkey::text, indclass::text, coalesce(indexprs::text, ''), coalesce(indpred::text, '') HAVING count(*) > 1",
  "SELECT conrelid::regclass AS tbl, conname FROM pg_constraint c WHERE contype = 'f' AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid AND (i.indkey::int2[])[0:0] = c.conkey[1:1])",
  "SELECT relname, last_vacuum, last_autovacuum, last_analyze, vacuum_count, autovacuum_count FROM pg_stat_all_tables ORDER BY greatest(last_vacuum, last_autovacuum) NULLS FIRST LIMIT 20",
  "SELECT relname, n_mod_since_analyze, n_ins_since_vacuum FROM pg_stat_user_tables ORDER BY 2 DESC",
  "SELECT c.relname, c.reltuples, current_setting('autovacuum_vacuum_threshold')::float + current_setting('autovacuum_vacuum_scale_factor')::float * c.reltuples AS vacuumed_at FROM pg_class c WHERE relkind = 'r'",
  "SELECT c.relname, array_to_string(c.reloptions, ', ') FROM pg_class c WHERE c.reloptions IS NOT NULL",
  "SELECT datname, age(datfrozenxid), round(100 * age(datfrozenxid)::numeric / 2000000000, 1) AS percent FROM pg_database ORDER BY 2 DESC",
  "SELECT datname, mxid_age(datminmxid) FROM pg_database",
  "SELECT c.relname, age(c.relfrozenxid), mxid_age(c.relminmxid) FROM pg_class c WHERE c.relkind IN ('r', 't') ORDER BY 2 DESC LIMIT 10",
  "SELECT p.pid, p.relid::regclass, p.phase, p.heap_blks_scanned, p.heap_blks_total FROM pg_stat_progress_vacuum p",
  "SELECT * FROM pg_stat_progress_analyze", "SELECT * FROM pg_stat_progress_copy", "SELECT * FROM pg_stat_progress_basebackup", "SELECT * FROM pg_stat_progress_cluster",
  "SELECT temp_files, pg_size_pretty(temp_bytes) FROM pg_stat_database WHERE datname = current_database()",
  "SELECT name, setting, unit, source FROM pg_settings WHERE name IN ('shared_buffers', 'work_mem', 'maintenance_work_mem', 'effective_cache_size')",
  "SELECT name, setting, boot_val FROM pg_settings WHERE setting IS DISTINCT FROM boot_val AND source <> 'default' ORDER BY name",
  "SELECT name, setting FROM pg_settings WHERE pending_restart",
  "SELECT sourcefile, name, setting, applied, error FROM pg_file_settings WHERE error IS NOT NULL",
  "SELECT type, database, user_name, address, auth_method FROM pg_hba_file_rules WHERE auth_method = 'trust'",
  "SELECT pg_size_bytes(current_setting('shared_buffers')) / 8192 AS pages, pg_size_pretty(pg_size_bytes('64MB'))",
  "SELECT oid::regclass, relpages, reltuples, relallvisible FROM pg_class WHERE relkind = 'r' AND relpages > 0 ORDER BY relpages DESC LIMIT 10",
  "SELECT schemaname, tablename, attname, null_frac, avg_width, most_common_vals::text FROM pg_stats WHERE null_frac > 0.9",
  "SELECT pg_relation_filepath(oid), pg_relation_size(oid, 'fsm'), pg_relation_size(oid, 'vm') FROM pg_class WHERE relname = 'members'",
  "SELECT relname, relpersistence, relkind FROM pg_class WHERE relpersistence <> 'p' AND relkind = 'r'",
  "SELECT sequencename, last_value, max_value, round(100.0 * coalesce(last_value, 0) / max_value, 4) AS used FROM pg_sequences",
  "SELECT schemaname, viewname, definition FROM pg_views WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
  "SELECT matviewname, ispopulated, hasindexes FROM pg_matviews",
  "SELECT loid, count(*) AS pages FROM pg_largeobject GROUP BY loid",
}

--- Is it written down elsewhere, and how far behind?
local replication = {
  "SELECT application_name, sync_state, write_lag, flush_lag, replay_lag FROM pg_stat_replication",
  "SELECT pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')) AS written, pg_walfile_name(pg_current_wal_lsn())",
  "SELECT slot_name, wal_status, safe_wal_size, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots WHERE NOT active",
  "SELECT slot_name, spill_txns, stream_bytes FROM pg_stat_replication_slots",
  "SELECT subname, received_lsn, last_msg_receipt_time FROM pg_stat_subscription",
  "SELECT subname, apply_error_count, sync_error_count FROM pg_stat_subscription_stats",
  "SELECT pubname, puballtables FROM pg_publication", "SELECT * FROM pg_publication_tables",
  "SELECT archived_count, last_archived_wal, failed_count, last_failed_wal, now() - last_archived_time AS since FROM pg_stat_archiver",
  "SELECT checkpoints_timed, checkpoints_req, buffers_checkpoint, buffers_backend, maxwritten_clean FROM pg_stat_bgwriter",
  "SELECT wal_records, wal_fpi, pg_size_pretty(wal_bytes), wal_buffers_full FROM pg_stat_wal",
  "SELECT checkpoint_lsn, redo_lsn, checkpoint_time, now() - checkpoint_time AS since FROM pg_control_checkpoint()",
  "SELECT pg_control_version, system_identifier FROM pg_control_system()", "SELECT * FROM pg_control_recovery()",
  "SELECT pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(), pg_is_wal_replay_paused() WHERE pg_is_in_recovery()",
  "SELECT name, blks_zeroed, blks_hit, blks_read FROM pg_stat_slru", "SELECT * FROM pg_stat_recovery_prefetch",
  "SELECT gid, prepared, owner, now() - prepared AS open_for FROM pg_prepared_xacts ORDER BY prepared",
  "SELECT name, modification FROM pg_ls_archive_statusdir() ORDER BY 2 DESC LIMIT 5",
  "SELECT pg_conf_load_time(), pg_postmaster_start_time()", "SELECT txid_current_snapshot()", "SELECT pg_xact_commit_timestamp('3'::xid) WHERE current_setting('track_commit_timestamp') = 'on'",
}

--- Who may do what, and what is defined.
local rights = {
  "SELECT r.rolname, ARRAY(SELECT b.rolname FROM pg_auth_members m JOIN pg_roles b ON m.roleid = b.oid WHERE m.member = r.oid) AS member_of FROM pg_roles r WHERE rolcanlogin",
  "SELECT rolname, rolvaliduntil FROM pg_roles WHERE rolvaliduntil < now() + interval '30 days'",
  "SELECT grantee, table_schema, table_name, string_agg(privilege_type, ', ') FROM information_schema.role_table_grants GROUP BY 1, 2, 3 LIMIT 20",
  "SELECT nspname, nspacl, pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname !~ '^pg_'",
  "SELECT defaclrole::regrole, defaclobjtype, defaclacl FROM pg_default_acl",
  "SELECT p.proname, pg_get_function_identity_arguments(p.oid), p.prosecdef FROM pg_proc p WHERE p.prosecdef",
  "SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prokind = 'f' LIMIT 3",
  "SELECT tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
  "SELECT evtname, evtevent, evtenabled FROM pg_event_trigger",
  "SELECT schemaname, tablename, policyname, roles, cmd, qual FROM pg_policies",
  "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relrowsecurity",
  "SELECT datname, setrole::regrole, setconfig FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase",
  "SELECT name, default_version, installed_version FROM pg_available_extensions WHERE installed_version IS DISTINCT FROM default_version AND installed_version IS NOT NULL",
  "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype IN ('f', 'c') LIMIT 10",
  "SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid = 'members'::regclass ORDER BY attnum",
  "SELECT a.attname, pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum",
  "SELECT obj_description('members'::regclass), col_description('members'::regclass, 1)",
  "SELECT t.typname, array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid GROUP BY 1",
  "SELECT collname, collversion, pg_collation_actual_version(oid) FROM pg_collation WHERE collversion IS NOT NULL LIMIT 5",
  "SELECT datname, datcollversion, pg_encoding_to_char(encoding), datcollate FROM pg_database",
  "SELECT to_regclass('public.members') IS NOT NULL AS there, has_schema_privilege('public', 'USAGE'), has_database_privilege(current_database(), 'CONNECT')",
  "SELECT inhparent::regclass, inhrelid::regclass, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid",
  "SELECT partrelid::regclass, partstrat, pg_get_partkeydef(partrelid) FROM pg_partitioned_table",
  "SELECT srvname, srvoptions FROM pg_foreign_server", "SELECT classid::regclass, objid, deptype FROM pg_depend WHERE deptype = 'e' LIMIT 5",
}

--- What a product's own tables are asked.
local product = {
  "SELECT date_trunc('day', created_at) AS day, count(*) AS n, sum(count(*)) OVER (ORDER BY date_trunc('day', created_at)) AS so_far FROM members GROUP BY 1 ORDER BY 1",
  "SELECT width_bucket(score, 0, 100, 10) AS bucket, count(*) FROM exam_attempts GROUP BY 1 ORDER BY 1",
  "SELECT percentile_disc(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY score) FROM exam_attempts",
  "SELECT DISTINCT ON (user_id) user_id, created_at FROM search_history ORDER BY user_id, created_at DESC",
  "SELECT id FROM members TABLESAMPLE system (10) LIMIT 5", "SELECT * FROM members ORDER BY id OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY",
  "SELECT (SELECT count(*) FROM members) AS members, (SELECT count(*) FROM clips) AS clips",
  "SELECT m.id FROM members m LEFT JOIN clips c ON c.user_id = m.id WHERE c.id IS NULL",
  "SELECT email, count(*) FROM members GROUP BY email HAVING count(*) > 1",
  "SELECT array_agg(id ORDER BY id DESC) FILTER (WHERE id % 2 = 0), json_agg(json_build_object('id', id)), string_agg(email, ', ' ORDER BY email) FROM members",
  "SELECT jsonb_object_keys(permissions), jsonb_typeof(permissions), jsonb_path_query_first(permissions, '$.a') FROM admin_users",
  "SELECT permissions #>> '{a,b}', permissions -> 'a' ->> 0, jsonb_array_length(permissions -> 'list') FROM admin_users WHERE permissions ?| ARRAY['a', 'b']",
  "SELECT host(ip_address), masklen(ip_address), ip_address << '10.0.0.0/8'::inet FROM audit_logs",
  "SELECT extract(isodow FROM created_at), to_char(created_at, 'HH24'), count(*) FROM audit_logs GROUP BY GROUPING SETS ((1), (2))",
  "SELECT first_value(score) OVER w, ntile(4) OVER w, rank() OVER w, score - lag(score) OVER w AS step FROM exam_attempts WINDOW w AS (PARTITION BY exam_id ORDER BY score)",
  "SELECT regexp_replace(email, '@.*', ''), split_part(email, '@', 2), upper(email), lpad(id::text, 8, '0'), reverse(email) FROM members",
  "SELECT lower(tstzrange(min(created_at), max(created_at))), tstzrange(min(created_at), max(created_at)) @> now() FROM members",
  "SELECT make_interval(hours => 3), justify_hours(interval '30 hours'), date_bin('15 minutes', now(), '2001-01-01'), age(now(), now() - interval '1 year')",
  "SELECT corr(score, exam_id), stddev(score), regr_slope(score, exam_id), mode() WITHIN GROUP (ORDER BY score) FROM exam_attempts",
  "SELECT * FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) WITH ORDINALITY AS t(n, s, at)", "SELECT grp, val FROM (VALUES (1, 'a'), (2, 'b')) AS t(grp, val) WHERE val = ANY ('{a,b}')",
  "SELECT roles, cardinality(roles), array_length(roles, 1), roles @> ARRAY['admin'] FROM \"User\"", "SELECT coalesce(nullif(trim(email), ''), 'none'), length(email) FROM members",
}

diagnostics.statements = {}
for _, list in ipairs { runbooks, sessions, storage, replication, rights, product } do
  for _, text in ipairs(list) do
    diagnostics.statements[#diagnostics.statements + 1] = text
  end
end

return diagnostics
