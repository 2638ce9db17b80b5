"""What run.py breaks. Each entry: name, the promise, the file, the text to replace (must stand there
exactly once), what replaces it, and the tests of which at least one must turn red."""

MUTANTS = [
    # -- the gate -----------------------------------------------------------------------------------
    {
        "name": "plan-stage-dropped",
        "promise": "a dry run makes no change",
        "file": "runtime/gate.lua",
        "old": "if run.dry and alters(effect) then -- 4",
        "new": "if false and run.dry and alters(effect) then -- 4",
        "tests": ["lua/test-gate", "lua/test-plan"],
    },
    {
        "name": "tells-not-planned",
        "promise": "a dry run tells nobody",
        "file": "runtime/gate.lua",
        "old": "if run.dry and alters(effect) then -- 4",
        "new": 'if run.dry and effect.class == "change" then -- 4',
        "tests": ["lua/test-gate"],
    },
    {
        "name": "policy-stage-dropped",
        "promise": "uses and limits are refused, live and dry",
        "file": "runtime/gate.lua",
        "old": "local ok, answer = pcall(policy.check, run, effect) -- 3",
        "new": "local ok, answer = pcall(function() end) -- 3",
        "tests": ["lua/test-policy"],
    },
    {
        "name": "begin-after-the-effect",
        "promise": "a change's intent is on disk before it is made",
        "file": "runtime/gate.lua",
        "old": """    begin(run, row, effect, token) -- 7
  end
  local done, result = perform(current, row, effect, token) -- 8
""",
        "new": """  end
  local done, result = perform(current, row, effect, token) -- 8
  if alters(effect) then
    begin(run, row, effect, token) -- 7
  end
""",
        "tests": ["lua/test-gate"],
    },
    {
        "name": "begin-not-synced",
        "promise": "a change's intent is synced before it is made",
        "file": "runtime/journal.lua",
        "old": 'with_key({ type = "effect.begin", token = token, body = body }, effect), true)',
        "new": 'with_key({ type = "effect.begin", token = token, body = body }, effect), false)',
        "tests": ["lua/test-gate"],
    },
    {
        "name": "broken-journal-ignored",
        "promise": "a change whose intent cannot be written is not made",
        "file": "runtime/journal.lua",
        "old": "    run.journal_broken = true\n    fail(err, run.store:dir())",
        "new": "    run.journal_broken = true",
        "tests": ["lua/test-gate"],
    },
    {
        "name": "refused-read-sent-anyway",
        "promise": "nothing of a read that cannot be proved is sent",
        "file": "runtime/gate.lua",
        "old": "  if not prepared then\n",
        "new": '  if not prepared and errors.wrap(token).kind ~= "refused" then\n',
        "tests": ["lua/test-gate"],
    },
    {
        "name": "changes-in-reads",
        "promise": "wait_until, is and happened only read",
        "file": "runtime/gate.lua",
        "old": "if current.reads_only and (alters(effect) or row.interactive) then",
        "new": "if false and current.reads_only then",
        "tests": ["lua/test-gate", "lua/test-stack"],
    },
    {
        "name": "unknown-is-failed",
        "promise": "a change whose answer is lost ends the run with 7",
        "file": "runtime/gate.lua",
        "old": 'if err.kind == "effect" and err.outcome == "unknown" and alters(effect) then',
        "new": 'if false and err.outcome == "unknown" then',
        "tests": ["lua/test-gate"],
    },
    # -- gates that people open ---------------------------------------------------------------------
    {
        "name": "gate-opens-without-a-terminal",
        "promise": "without a terminal a gate stays closed",
        "file": "runtime/primitives/people.lua",
        "old": '    if not can_ask() then\n      local all',
        "new": '    if not can_ask() then\n      do return record(request, value, "nobody") end\n      local all',
        "tests": ["lua/test-people"],
    },
    {
        "name": "yes-opens-protected",
        "promise": "--yes opens nothing of a protected environment",
        "file": "runtime/primitives/people.lua",
        "old": "if run.options.yes and not request.type and not run.environment.protected then",
        "new": "if run.options.yes and not request.type then",
        "tests": ["lua/test-people"],
    },
    {
        "name": "yes-opens-typed",
        "promise": "--yes opens no typed gate",
        "file": "runtime/primitives/people.lua",
        "old": "if run.options.yes and not request.type and not run.environment.protected then",
        "new": "if run.options.yes and not run.environment.protected then",
        "tests": ["lua/test-people"],
    },
    {
        "name": "protected-not-asked",
        "promise": "the name of a protected environment is typed before its first change",
        "file": "runtime/gate.lua",
        "old": "if alters(effect) and run.environment.protected and not run.environment_confirmed then",
        "new": "if false and run.environment.protected then",
        "tests": ["lua/test-people"],
    },
    {
        "name": "silence-is-yes",
        "promise": "no answer is a no",
        "file": "runtime/primitives/people.lua",
        "old": "    if answer == nil then\n",
        "new": "    if answer == nil then\n      do return record(request, value, \"silence\") end\n",
        "tests": ["lua/test-people"],
    },
    # -- the truth of a dry run, and the course of steps --------------------------------------------
    {
        "name": "always-determined",
        "promise": "after the first planned change checks are undetermined",
        "file": "runtime/plan.lua",
        "old": "return run.dry and run.planned_first ~= nil",
        "new": "return run.dry and false",
        "tests": ["lua/test-plan"],
    },
    {
        "name": "try-catches-all",
        "promise": "try catches no refusal and no unknown outcome",
        "file": "runtime/author/flow.lua",
        "old": 'return errors.is(err) and (err.kind == "effect" or err.kind == "fail")',
        "new": "return errors.is(err)",
        "tests": ["lua/test-gate", "lua/test-policy"],
    },
    {
        "name": "retry-over-a-change",
        "promise": "a step is tried again only while it made no change",
        "file": "runtime/step.lua",
        "old": "return changes == 0 or node.opts.idempotent or false",
        "new": "return true",
        "tests": ["lua/test-flow"],
    },
    {
        "name": "undo-first-first",
        "promise": "the way back is worked off last first",
        "file": "runtime/stack.lua",
        "old": "for i = #run.stack, (above or 0) + 1, -1 do",
        "new": "for i = (above or 0) + 1, #run.stack do",
        "tests": ["lua/test-stack"],
    },
    {
        "name": "command-prefix-by-letters",
        "promise": "uses allows a command word by word",
        "file": "runtime/policy.lua",
        "old": "    if argv[index] ~= word then",
        "new": "    if not argv[index] or argv[index]:sub(1, #word) ~= word then",
        "tests": ["lua/test-policy"],
    },
    {
        "name": "limits-not-added-up",
        "promise": "limits hold for the sum of a run",
        "file": "runtime/policy.lua",
        "old": "    local sum = (run.spent[name] or 0) + amount",
        "new": "    local sum = amount",
        "tests": ["lua/test-policy"],
    },
    # -- the layering -------------------------------------------------------------------------------
    {
        "name": "client-called-beside-the-gate",
        "promise": "host primitives are called by adapters only",
        "file": "runtime/step.lua",
        "old": "local step = {}\n",
        "new": "local step = {}\nfunction step.peek(host_table)\n  local host = host_table\n  return host.sql.connect {}\nend\n",
        "tests": ["meta/rooms"],
    },
    {
        "name": "requires-upwards",
        "promise": "a module requires its own or a lower layer",
        "file": "runtime/plan.lua",
        "old": 'local plan = {}\n',
        "new": 'local plan = {}\nlocal gate = require "runtime.gate"\nplan.gate = gate\n',
        "tests": ["meta/layers"],
    },
    # -- the C host: secrets, processes, reads ------------------------------------------------------
    {
        "name": "masker-without-base64",
        "promise": "a secret's base64 is masked",
        "file": "src/term/mask_forms.c",
        "old": "static bool base64_forms(const char *value, size_t len, const struct form_sink *sink) {\n",
        "new": "static bool base64_forms(const char *value, size_t len, const struct form_sink *sink) {\n"
               "  if (len > 0) return true;\n",
        "tests": ["c/test_mask"],
    },
    {
        "name": "masker-without-the-raw-form",
        "promise": "a secret itself is masked",
        "file": "src/term/mask.c",
        "old": "static bool take_form(void *context, const char *text, size_t len) {\n"
               "  struct collect *c = context;\n",
        "new": "static bool take_form(void *context, const char *text, size_t len) {\n"
               "  struct collect *c = context;\n"
               "  const struct secret *raw = &registry.secrets[c->owner];\n"
               "  if (len == raw->len && memcmp(text, raw->value, len) == 0) return true;\n",
        "tests": ["c/test_mask"],
    },
    {
        "name": "orphans-live-on",
        "promise": "what opsrun started dies with it",
        "file": "src/supervisor/supervise.c",
        "old": "  s->control = -1;\n  if (!s->exited) s->asked = true;\n  begin_end(s, GRACE_ORPHANED_MS);\n",
        "new": "  s->control = -1;\n  if (!s->exited) s->asked = true;\n",
        "tests": ["c/test_process_end"],
    },
    # No mutant drops the jail whole: its test tries real escapes as root, and without the jail they
    # succeed, on the machine that runs them.
    {
        "name": "judge-dropped",
        "promise": "PostgreSQL's own grammar decides what a read is",
        "file": "runtime/sql/judge.lua",
        "old": "function judge.inspect(tree, trusted)\n  local verdict = new_verdict()\n",
        "new": "function judge.inspect(tree, trusted)\n  local verdict = new_verdict()\n"
               '  if tree then verdict.kind = "VariableShowStmt" return verdict end\n',
        "tests": ["c/test_sql"],
    },
    {
        "name": "catalogue-not-asked",
        "promise": "what a read's names mean on this server is looked up before it is sent",
        "file": "runtime/sql/read.lua",
        "old": "    local problem, failure = catalogue.check(",
        "new": "    local problem, failure = (function() end)(",
        "tests": ["c/test_sql"],
    },
    # -- redis --------------------------------------------------------------------------------------
    {
        "name": "unknown-commands-read",
        "promise": "what the table of commands does not know is a change",
        "file": "runtime/redis/classify.lua",
        "old": 'local result = { name = name, class = "change", why',
        "new": 'local result = { name = name, class = spec and "change" or "read", why',
        "tests": ["lua/test-redis"],
    },
    {
        "name": "live-server-not-asked",
        "promise": "a Redis read is sent only when the live server agrees that it is one",
        "file": "runtime/primitives/redis.lua",
        "old": "      if why then\n        raise_unproved(class, why)",
        "new": "      if false and why then\n        raise_unproved(class, why)",
        "tests": ["lua/test-redis"],
    },
    {
        "name": "key-specs-ignored",
        "promise": "a readonly command that may alter its keys is no read",
        "file": "runtime/redis/classify.lua",
        "old": '"write", "denyoom", "may_replicate", "alters_keys", "blocking", "noscript"',
        "new": '"write", "denyoom", "may_replicate", "blocking", "noscript"',
        "tests": ["lua/test-redis"],
    },
    {
        "name": "lost-change-sent-again",
        "promise": "a change whose answer is lost is never sent again",
        "file": "runtime/redis/pool.lua",
        "old": '(reads or err.outcome == "not sent")',
        "new": '(reads or err.outcome ~= "failed")',
        "tests": ["lua/test-redis"],
    },
    {
        "name": "redis-host-not-checked",
        "promise": "a certificate of another host is refused",
        "file": "src/clients/redis_tls.c",
        "old": "return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;",
        "new": "return SSL_set_tlsext_host_name(ssl, host) == 1;",
        "tests": ["c/test_redis"],
    },
    {
        "name": "stopped-batch-kept",
        "promise": "an answer that comes late is never taken for another's",
        "file": "src/clients/redis.c",
        "old": "  self->conn->batch = NULL; /* its answers would be taken for those of the next batch */\n  conn_break(self->conn);",
        "new": "  self->conn->batch = NULL;",
        "tests": ["c/test_redis"],
    },
    # -- files and logs -----------------------------------------------------------------------------
    {
        "name": "changed-since-listed-not-seen",
        "promise": "a file that changed since it was listed is left",
        "file": "src/clients/files_change.c",
        "old": "  return strcmp(id, change->item->id) == 0 ||",
        "new": "  return strcmp(id, change->item->id) <= 1 ||",
        "tests": ["e2e/test_files"],
    },
    {
        "name": "link-followed-below-a-prefix",
        "promise": "no link leads out of what may be changed",
        "file": "src/clients/files_path.c",
        "old": "const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;",
        "new": "const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;",
        "tests": ["e2e/test_files"],
    },
    {
        "name": "first-path-alone-judged",
        "promise": "each path of a change is below uses.files",
        "file": "runtime/policy.lua",
        "old": 'section == "files" and type(wanted) == "table" and wanted or { wanted }',
        "new": 'section == "files" and type(wanted) == "table" and { wanted[1] } or { wanted }',
        "tests": ["e2e/test_files"],
    },
    {
        "name": "missing-log-counts-zero",
        "promise": "a log that cannot be read is a failure, never a count of 0",
        "file": "src/clients/logs_scan.c",
        "old": "else if (scan->read_count == 0 && scan->skipped_count == 0)",
        "new": "else if (scan->read_count == 1000000 && scan->skipped_count == 0)",
        "tests": ["e2e/test_logs"],
    },
    {
        "name": "window-holds-its-end",
        "promise": "a window of time is half-open",
        "file": "src/clients/logs_scan.c",
        "old": "time >= request->from && time < request->to",
        "new": "time >= request->from && time <= request->to",
        "tests": ["e2e/test_logs"],
    },
    # -- sql, http, notify -----------------------------------------------------------------------------
    {
        "name": "transaction-kept-after-an-error",
        "promise": "when a transaction's function raises, nothing of it stays",
        "file": "runtime/sql/transaction.lua",
        "old": """  if not ok then
    roll_back(pool, session, value)
  end
""",
        "new": "",
        "tests": ["c/test_sql"],
    },
    {
        "name": "reads-in-a-transaction-unproved",
        "promise": "a read in a transaction is proved",
        "file": "runtime/sql/transaction.lua",
        "old": """      read.prove(pool, entry, statement)
      return pick(verb, read.rows(""",
        "new": "      return pick(verb, read.rows(",
        "tests": ["c/test_sql"],
    },
    {
        "name": "pages-of-any-origin",
        "promise": "a page of another origin is not asked for",
        "file": "runtime/http/pages.lua",
        "old": "elseif parts.origin ~= base.origin then",
        "new": "elseif false then",
        "tests": ["lua/test-http-pages"],
    },
    {
        "name": "missing-figure-is-zero",
        "promise": "a figure that could not be read never counts as well",
        "file": "stdlib/health.lua",
        "old": "if value == nil then value = answer:need(name) end",
        "new": "if value == nil then value = answer:at(name) or 0 end",
        "tests": ["lua/test-stdlib-health"],
    },
    {
        "name": "only-the-first-failure-told",
        "promise": "who is told hears of every step that failed",
        "file": "runtime/tell.lua",
        "old": "table.move(event.also, 1, #event.also, #lines + 1, lines)",
        "new": "",
        "tests": ["e2e/test_health_check"],
    },
    {
        "name": "line-ends-in-mail-headers",
        "promise": "no text makes a header line of its own",
        "file": "runtime/notify/mail.lua",
        "old": """text:match "[^\\r\\n]*":gsub("%c", " ")""",
        "new": "text",
        "tests": ["lua/test-mail"],
    },
    {
        "name": "starttls-if-offered",
        "promise": "a login and a mail never travel in clear text",
        "file": "src/clients/smtp.c",
        "old": "CURLUSESSL_NONE : CURLUSESSL_ALL",
        "new": "CURLUSESSL_NONE : CURLUSESSL_TRY",
        "tests": ["e2e/test_notify"],
    },
]
