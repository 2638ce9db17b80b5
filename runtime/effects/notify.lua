--- Telling people: notify "team" (text, {severity = "warning"}).
return {
  ["notify.send"] = {
    class = "tell",
    module = "notify",
    verb = "send",
    face = "call",
    params = { { "text", "string" }, { "opts", "options?" } },
    options = { "severity", "title", "once", "event", "attach" },
    returns = "{sent, failed}",
    help = "tells every channel behind a name of the environment; fails only when all of them do",
  },
}
