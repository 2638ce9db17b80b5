--- opsrun log RUN [--follow]: the journal of a run, as a person reads it.
local codes = require "runtime.codes"
local history = require "runtime.history"
local journal = require "runtime.journal"
local report_text = require "runtime.report_text"
local table_text = require "runtime.table_text"

local signal_codes = { SIGINT = codes.interrupted, SIGTERM = codes.terminated, SIGHUP = codes.hangup }

local function place(record)
  local text = record.step or ""
  if record.attempt and record.attempt > 1 then
    text = ("%s (attempt %d)"):format(text, record.attempt)
  end
  if record.branch and record.branch ~= "" then
    text = ("%s [%s]"):format(text, record.branch)
  end
  return text
end

--- How each record type reads: style, text.
local lines = {
  ["run.start"] = function(r)
    return "bold", ("%s: %s on %s, %s, by %s@%s"):format(r.run, r.playbook, r.environment, r.mode, r.operator, r.hostname)
  end,
  ["step.start"] = function(r)
    return "bold", ("step %s: %s"):format(place(r), r.name)
  end,
  ["step.end"] = function(r)
    local why = r.error and r.error.message or r.reason
    return nil, ("step %s %s in %s%s"):format(place(r), r.state, report_text.seconds_text(r.seconds), why and (": " .. why) or "")
  end,
  ["step.retry"] = function(r)
    return "yellow", ("step %s attempt %d failed, trying again: %s"):format(r.step, r.attempt, r.error.message)
  end,
  ["effect.begin"] = function(r)
    return nil, ("  begin   %s"):format(r.summary)
  end,
  ["effect.end"] = function(r)
    local verb = (r.class == "change" or r.class == "tell") and "changed" or r.class
    local text = ("  %-7s %s"):format(r.outcome == "done" and verb or r.outcome, r.summary)
    if r.error then
      text = text .. ": " .. r.error.message
    elseif r.class == "ask" and type(r.value) == "table" then
      local said = r.value.answer or r.value.note
      text = ("%s: %s%s"):format(text, said, r.value.by and (" " .. r.value.by) or "")
    elseif r.not_kept then
      text = text .. " (value not kept: " .. r.not_kept .. ")"
    end
    return r.error and "red" or (verb == "changed" and "bold" or "dim"), text
  end,
  ["effect.planned"] = function(r)
    return "cyan", (r.rehearsed and "  rehearsed " or "  would   ") .. r.summary
  end,
  ["effect.refused"] = function(r)
    return "red", ("  refused %s: %s"):format(r.summary, r.error.message)
  end,
  ["check"] = function(r)
    local value = r.value == nil and "no value" or table_text.value(r.value)
    return r.verdict ~= "ok" and "yellow" or nil,
      ("  check   %s %s%s: %s%s"):format(
        r.name,
        value,
        r.unit and (" " .. r.unit) or "",
        r.verdict,
        r.undetermined and " (undetermined)" or ""
      )
  end,
  ["note"] = function(r)
    return nil, "  note    " .. r.text
  end,
  ["show"] = function(r)
    return "dim", ("  show    %s"):format(r.title or r.text or ((r.rows or 0) .. " rows"))
  end,
  ["wait"] = function(r)
    local came = r.ok and "true" or "not true"
    return nil, ("  wait    %s: %s after %s, %d looks"):format(r.text, came, report_text.seconds_text(r.seconds), r.polls)
  end,
  ["gate"] = function(r)
    return nil, ("  gate    %s: %s %s"):format(r.gate, r.answer, r.by)
  end,
  ["gate.note"] = function(r)
    return nil, ("  note    at gate %s: %s, %s"):format(r.gate, r.text, r.by)
  end,
  ["signal"] = function(r)
    return "yellow", "signal " .. r.name
  end,
  ["undo.push"] = function(r)
    return "dim", ("  %-7s registered: %s"):format(r.kind, r.text)
  end,
  ["undo.done"] = function(r)
    return r.ok and "bold" or "red", ("  undo    %s%s"):format(r.text, r.ok and "" or (": " .. tostring(r.error)))
  end,
  ["run.resume"] = function(r)
    return "bold", ("%s by %s@%s"):format(r.undo and "taken back" or "resumed", r.operator, r.hostname)
  end,
  ["run.closed"] = function(r)
    return "bold", ("closed by %s: %s"):format(r.operator, r.because)
  end,
  ["gate.wait"] = function(r)
    return "yellow", ("  waits   gate %s: %s"):format(r.gate, r.text)
  end,
  ["answer"] = function(r)
    return "bold", ("  answer  gate %s: %s by %s"):format(r.gate, r.value, r.by)
  end,
  ["time.wait"] = function(r)
    return "yellow", "  waits   until " .. r["until"]
  end,
  ["override"] = function(r)
    return "bold red", ("  rule %s set aside by %s, because: %s"):format(r.rule, r.by, r.because)
  end,
  ["waiting"] = function(r)
    return "dim", "  " .. r.text
  end,
  ["asking"] = function(r)
    return "dim", "  " .. r.text
  end,
  ["unwind"] = function(r)
    return "dim", r.undo and "the ways back are taken" or "what is done at the end whatever happened"
  end,
  ["clock.start"] = function(r)
    return "dim", ("  clock   %s: %s"):format(r.text, r.words)
  end,
  ["clock.strike"] = function(r)
    return "dim", ("  clock   %s, number %d"):format(r.text, r.number)
  end,
  ["clock.failed"] = function(r)
    return "yellow", ("  clock   number %d failed: %s"):format(r.number, r.error.message)
  end,
  ["clock.end"] = function(r)
    return "dim", "  clock   ends: " .. r.reason
  end,
  ["run.abort"] = function(r)
    return "bold red", ("opsrun ended itself, exit %d%s: %s"):format(r.code, r.step and (", in step " .. r.step) or "", r.text)
  end,
  ["caught"] = function(r)
    return "dim", "  caught  " .. r.message
  end,
  ["run.end"] = function(r)
    return "bold",
      ("%s, exit %d, %d change%s, %s%s"):format(
        r.state,
        r.code,
        r.changes,
        r.changes == 1 and "" or "s",
        report_text.seconds_text(r.seconds),
        r.error and (": " .. r.error.message) or ""
      )
  end,
}

local function print_record(host, record)
  local render = lines[record.type]
  local style, text
  if render then
    style, text = render(record)
  else
    style, text = "dim", "  " .. record.type
  end
  host.term.out(record.t:sub(12, 23) .. "  ", "dim")
  host.term.out(text .. "\n", style)
end

--- How a run without an end stands, in one line: style, text.
local function standing(id, records)
  local summary = history.summarize(records)
  local holder = journal.holder(id)
  if holder then
    return "bold", ("still running, as process %d"):format(holder.pid)
  elseif #summary.in_doubt == 0 then
    return "yellow", ("interrupted: opsrun ended %s, no change was in flight"):format(summary.error and "itself" or "without a word")
  end
  return "bold red", ("in doubt: opsrun ended while this was in flight, nobody knows whether it happened: %s"):format(
    table.concat(summary.in_doubt, "; ")
  )
end

---@param services {host: table, options: table}
---@return integer exit code
return function(services)
  local host, flags = services.host, services.options.flags
  table_text.open(host.term.display_width, host.term.shown)
  local id = history.find(services.options.words[1])
  local shown, ended = 0, false
  repeat
    local held = not flags.follow or journal.holder(id) ~= nil -- asked first: a last record may come in between
    local records, notice = journal.read(id)
    for i = shown + 1, #records do
      if flags.json then
        host.term.out(host.json.encode(records[i]) .. "\n")
      else
        print_record(host, records[i])
      end
      ended = ended or records[i].type == "run.end"
    end
    shown = #records
    if flags.follow and not ended and held then
      host.task.sleep(0.2)
      local count, name = host.signals.count()
      if count > 0 then
        return signal_codes[name]
      end
    elseif notice then
      host.term.message("note", notice)
    end
    if not flags.json and not ended and not (flags.follow and held) then
      local style, text = standing(id, records)
      host.term.out(text .. "\n", style)
    end
  until ended or not flags.follow or not held
  return 0
end
