--- Secrets that a playbook makes: secret.new { name = "SECRET_KEY" }. Those that are there already are
--- named by the environment.
return {
  ["secret.new"] = {
    class = "record",
    module = "secret",
    verb = "new",
    face = "library",
    params = { { "what", "table" } },
    options = { "name", "bytes", "form", "to" },
    returns = "secret",
    help = "a new random secret, which goes into sinks for secrets only; sealed in the run's folder",
  },
}
