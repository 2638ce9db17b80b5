--- A service that is a unit of systemd. Pure: which commands, and what their answers mean.
---@class opsrun.ServiceKind
---@field called fun(settings): string         for people: "systemd unit app.service"
---@field status fun(settings, look): table    look(argv, codes, cwd) runs a command that only looks
---@field change fun(settings, verb, wanted): table[]?  the commands, {argv=, cwd=} each; nil: it cannot. of_running:
--- left out when it is down
---@field releases? fun(settings, look, limit): table[]?  what it could serve, see runtime/service/releases.lua
---@field advice fun(settings): string         what to look at when it does not come up
--- The facts: {state, detail, pid, identity, running, release}. state: "active", "inactive", "failed", "changing",
--- "missing" or "unknown"; identity: another one after every start; wanted: a count for scale, a release for release.
--- A provider that is asked over HTTP has the contract of runtime/service/vercel.lua.
local systemd = {}

local properties = "LoadState,ActiveState,SubState,Result,MainPID,InvocationID,NRestarts"
local states = {
  active = "active", inactive = "inactive", failed = "failed", activating = "changing", deactivating = "changing",
  reloading = "changing", maintenance = "changing",
}

function systemd.called(settings)
  return "systemd unit " .. settings.systemd
end

function systemd.status(settings, look)
  local said = look({ "systemctl", "show", "--no-pager", "--property=" .. properties, "--", settings.systemd }).stdout
  local facts = {}
  for name, value in said:gmatch "(%w+)=([^\n]*)" do
    facts[name] = value
  end
  local pid = tonumber(facts.MainPID)
  local state = facts.LoadState ~= "loaded" and "missing" or states[facts.ActiveState] or "unknown"
  local detail = facts.LoadState ~= "loaded" and facts.LoadState or facts.SubState
  if state == "failed" and facts.Result ~= "success" then
    detail = facts.Result
  end
  return {
    state = state,
    detail = detail,
    pid = pid and pid > 0 and pid or nil,
    identity = facts.InvocationID ~= "" and facts.InvocationID or nil,
    restarts = tonumber(facts.NRestarts),
  }
end

local verbs = { restart = true, start = true, stop = true }

function systemd.change(settings, verb)
  return verbs[verb] and { { argv = { "systemctl", "--no-ask-password", verb, "--", settings.systemd } } } or nil
end

function systemd.advice(settings)
  return ("systemctl status %s; journalctl -u %s -n 50"):format(settings.systemd, settings.systemd)
end

return systemd
