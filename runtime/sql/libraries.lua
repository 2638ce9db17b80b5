--- Extensions whose functions were reviewed, by the shared library they live in. Data only. Only a
--- superuser can make a function in C, so its library says what it is, which its name does not.
---   all     every C function of the library is a pure look or computation
---   except  …but these
---   only    just these
---   sql     the extension's own functions in SQL, and those that are another name of a built-in one
---           (only a superuser makes such), are fine too, as long as they belong to the extension and
---           to the bootstrap superuser
local function set(text)
  local names = {}
  for name in text:gmatch "%S+" do
    names[name] = true
  end
  return names
end

return {
  ["$libdir/citext"] = { all = true, extension = "citext", sql = true },
  ["$libdir/hstore"] = { all = true, extension = "hstore", sql = true },
  ["$libdir/ltree"] = { all = true },
  ["$libdir/cube"] = { all = true, extension = "cube", sql = true },
  ["$libdir/_int"] = { all = true },
  ["$libdir/seg"] = { all = true },
  ["$libdir/btree_gist"] = { all = true },
  ["$libdir/btree_gin"] = { all = true },
  ["$libdir/fuzzystrmatch"] = { all = true },
  ["$libdir/unaccent"] = { all = true },
  ["$libdir/uuid-ossp"] = { all = true },
  ["$libdir/pgcrypto"] = { all = true },
  ["$libdir/vector"] = { all = true },
  -- Sets a session-wide threshold.
  ["$libdir/pg_trgm"] = { all = true, except = set "set_limit" },
  -- Sets a session-wide flag.
  ["$libdir/isn"] = { all = true, except = set "isn_weak" },
  ["$libdir/pg_stat_statements"] = { only = set "pg_stat_statements pg_stat_statements_info" },
  ["$libdir/pg_buffercache"] = {
    only = set "pg_buffercache_pages pg_buffercache_summary pg_buffercache_usage_counts",
  },
  ["$libdir/pgstattuple"] = { all = true },
  ["$libdir/pg_freespacemap"] = { all = true, extension = "pg_freespacemap", sql = true },
  ["$libdir/pgrowlocks"] = { all = true },
}
