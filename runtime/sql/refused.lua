--- Built-in functions that do something, each with the word a refusal says. Data only. A function in
--- neither list is refused as well, as not reviewed; this one exists for clear answers, and for
--- attribute notation: `(pid).pg_terminate_backend` calls the function.
local refused = {}

local function add(reason, text)
  for name in text:gmatch "%S+" do
    refused[name] = reason
  end
end

add("acts on other sessions", "pg_terminate_backend pg_cancel_backend pg_log_backend_memory_contexts")
add("assigns a transaction id", "txid_current pg_current_xact_id")
add(
  "runs SQL from a string or over a whole schema",
  [[query_to_xml query_to_xmlschema query_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema
  table_to_xml table_to_xmlschema table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema
  schema_to_xml_and_xmlschema database_to_xml database_to_xmlschema database_to_xml_and_xmlschema
  ts_stat ts_rewrite]]
)
add("changes a setting of the session", "set_config setseed")
add("changes a sequence", "nextval setval")
add("sends a notification", "pg_notify")
add(
  "takes or gives back a lock that outlives the statement",
  [[pg_advisory_lock pg_advisory_lock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared
  pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock
  pg_try_advisory_xact_lock_shared pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all]]
)
add("waits; the step's sleep does that without holding a connection", "pg_sleep pg_sleep_for pg_sleep_until")
add(
  "works on large objects, which a read-only transaction does not protect before version 16",
  [[lo_open lo_close loread lowrite lo_creat lo_create lo_unlink lo_import lo_export lo_put lo_get
  lo_from_bytea lo_truncate lo_truncate64 lo_lseek lo_lseek64 lo_tell lo_tell64]]
)
add(
  "opens a path it is told, which may be a device or a pipe",
  [[pg_read_file pg_read_file_old pg_read_binary_file pg_ls_dir pg_stat_file pg_file_write pg_file_sync
  pg_file_rename pg_file_unlink pg_logdir_ls pg_file_read pg_file_length]]
)
add(
  "controls the server",
  [[pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old pg_promote pg_switch_wal
  pg_create_restore_point pg_backup_start pg_backup_stop pg_start_backup pg_stop_backup
  pg_wal_replay_pause pg_wal_replay_resume pg_export_snapshot pg_import_system_collations
  pg_nextoid pg_stop_making_pinned_objects pg_extension_config_dump]]
)
add(
  "writes to the WAL, a slot or an origin, or takes what a consumer waits for",
  [[pg_logical_emit_message pg_create_physical_replication_slot pg_create_logical_replication_slot
  pg_copy_physical_replication_slot pg_copy_logical_replication_slot pg_drop_replication_slot
  pg_replication_slot_advance pg_logical_slot_get_changes pg_logical_slot_get_binary_changes
  pg_logical_slot_peek_changes pg_logical_slot_peek_binary_changes pg_replication_origin_create
  pg_replication_origin_drop pg_replication_origin_advance pg_replication_origin_session_setup
  pg_replication_origin_session_reset pg_replication_origin_xact_setup
  pg_replication_origin_xact_reset pg_sync_replication_slots]]
)
add(
  "resets or flushes statistics",
  [[pg_stat_reset pg_stat_reset_shared pg_stat_reset_slru pg_stat_reset_single_table_counters
  pg_stat_reset_single_function_counters pg_stat_reset_replication_slot
  pg_stat_reset_subscription_stats pg_stat_reset_backend_stats pg_stat_statements_reset
  pg_stat_clear_snapshot pg_stat_force_next_flush pg_clear_relation_stats pg_clear_attribute_stats
  pg_restore_relation_stats pg_restore_attribute_stats]]
)
add(
  "maintains an index",
  [[brin_summarize_new_values brin_summarize_range brin_desummarize_range gin_clean_pending_list]]
)
add(
  "talks to another server",
  [[dblink dblink_exec dblink_connect dblink_connect_u dblink_disconnect dblink_send_query
  dblink_get_result dblink_open dblink_fetch dblink_close dblink_cancel_query
  postgres_fdw_disconnect postgres_fdw_disconnect_all]]
)
add("runs SQL from a string", "crosstab crosstab2 crosstab3 crosstab4 crosstabn connectby xpath_table")
add(
  "is for pg_upgrade only",
  [[binary_upgrade_create_empty_extension binary_upgrade_set_missing_value
  binary_upgrade_set_next_array_pg_type_oid binary_upgrade_set_next_attribute_versions
  binary_upgrade_set_next_heap_pg_class_oid binary_upgrade_set_next_heap_relfilenode
  binary_upgrade_set_next_index_pg_class_oid binary_upgrade_set_next_index_relfilenode
  binary_upgrade_set_next_multirange_array_pg_type_oid binary_upgrade_set_next_multirange_pg_type_oid
  binary_upgrade_set_next_pg_authid_oid binary_upgrade_set_next_pg_enum_oid
  binary_upgrade_set_next_pg_tablespace_oid binary_upgrade_set_next_pg_type_oid
  binary_upgrade_set_next_toast_pg_class_oid binary_upgrade_set_next_toast_relfilenode
  binary_upgrade_set_record_init_privs]]
)

return refused
