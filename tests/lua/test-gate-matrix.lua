--- Which gate opens for whom: every kind of gate, in protected environments and others, by every way an answer may
--- come. What is not in the table of openers stays closed.
-- The words of a playbook come with _ENV.
-- luacheck: ignore 113 212
local t = require "harness"
local fake = require "tests.lua.fake_host"

--- The question, the right answer of --answer, what a person types who agrees and who does not.
local kinds = {
  ordinary = { ask = function(_ENV) confirm "Really?" end, right = "yes", wrong = "no", typed = "yes", no = "no" },
  typed = {
    ask = function(_ENV) confirm { "Really?", type = "orders" } end,
    right = "orders", wrong = "yes", typed = "orders", no = "yes",
  },
  manual = {
    ask = function(_ENV) manual { "Call the bank", required = true } end,
    right = "done:called", wrong = "yes", typed = "yes", no = "no", notes = true,
  },
  optional = {
    ask = function(_ENV) manual { "Call the bank" } end,
    right = "done:called", wrong = "yes", typed = "yes", no = "no", notes = true, goes_on = true,
  },
  ask = {
    ask = function(_ENV) ask { "Which?", options = { "left", "right" } } end,
    right = "left", wrong = "middle", typed = "left", no = "",
  },
}

--- Ways an answer may come: what the terminal is told, the flags, and which kinds it opens.
local ways = {
  { name = "a person agrees", terminal = "typed", opens = { ordinary = 1, typed = 1, manual = 1, optional = 1, ask = 1 } },
  { name = "a person does not agree", terminal = "no", opens = { optional = 1 } },
  { name = "the terminal ends", terminal = "nothing", opens = { optional = 1 } },
  { name = "nobody is there", opens = { optional = 1 } },
  {
    name = "nobody is there, --yes", flags = { yes = true },
    opens = { ordinary = 1, optional = 1 }, closed_in_protected = { ordinary = 1 },
  },
  { name = "--answer says it", answer = "right", opens = { ordinary = 1, typed = 1, manual = 1, optional = 1, ask = 1 } },
  { name = "--answer says something else", answer = "wrong", opens = {} },
  { name = "--answer says something else, --yes", answer = "wrong", flags = { yes = true }, opens = {} },
  { name = "--answer to another gate", answer_for = "after", answer = "right", opens = { optional = 1 } },
  { name = "--answer says something else, a person would agree", terminal = "typed", answer = "wrong", opens = {} },
  { name = "--no-input at a terminal", terminal = "typed", flags = { no_input = true }, opens = { optional = 1 } },
  {
    name = "--no-input at a terminal, --yes", terminal = "typed", flags = { no_input = true, yes = true },
    opens = { ordinary = 1, optional = 1 }, closed_in_protected = { ordinary = 1 },
  },
  { name = "--json at a terminal", terminal = "typed", flags = { json = true }, opens = { optional = 1 } },
  {
    name = "--json at a terminal, --yes", terminal = "typed", flags = { json = true, yes = true },
    opens = { ordinary = 1, optional = 1 }, closed_in_protected = { ordinary = 1 },
  },
  {
    name = "--json, --answer says it", flags = { json = true }, answer = "right",
    opens = { ordinary = 1, typed = 1, manual = 1, optional = 1, ask = 1 },
  },
}

--- How the name of a protected environment is given: by the terminal, by --answer, not at all.
local names = { "typed", "answered", "mistyped", "missing" }

local function play(kind, way, protected, name)
  local flags, typed, answers = {}, {}, {}
  for flag, value in pairs(way.flags or {}) do
    flags[flag] = value
  end
  if way.terminal and way.terminal ~= "nothing" then
    typed[1] = kind[way.terminal]
    typed[2] = way.terminal == "typed" and kind.notes and "a note" or nil
  end
  if way.answer then
    answers[1] = ("%s=%s"):format(way.answer_for or "ask", kind[way.answer])
  end
  if way.terminal ~= "nothing" and (name == "typed" or name == "mistyped") then
    typed[#typed + 1] = name == "typed" and "production" or "yes"
  elseif name == "answered" then
    answers[#answers + 1] = "environment=production"
  end
  flags.answers = answers
  local run = fake.play {
    environment = { name = protected and "production" or "lab", protected = protected },
    terminal = way.terminal ~= nil,
    answers = typed,
    flags = flags,
    playbook = function(_ENV)
      step("Ask", function()
        kind.ask(_ENV)
        note "through"
        sql "db":exec "delete"
      end)
      step("After", function() end)
    end,
  }
  local through = false
  for _, event in ipairs(fake.events(run, "note")) do
    through = through or event.text == "through"
  end
  return run, through, fake.performed(run, "delete")
end

local count = 0
for name, kind in pairs(kinds) do
  for _, way in ipairs(ways) do
    t.test(("%s gate, %s"):format(name, way.name), function()
      local opens = way.opens[name] ~= nil
      local run, through, made = play(kind, way, false)
      t.equal(through, opens)
      t.equal(made, opens and 1 or 0)
      t.equal(run.code, opens and 0 or 5)
      count = count + 1
    end)

    t.test(("%s gate of a protected environment, %s"):format(name, way.name), function()
      local opens = way.opens[name] ~= nil and not (way.closed_in_protected or {})[name]
      for _, given in ipairs(names) do
        local run, through, made = play(kind, way, true, given)
        t.equal(through, opens, given)
        local asked = way.terminal and way.terminal ~= "nothing" and not (way.flags or {}).no_input and not (way.flags or {}).json
        local named = given == "answered" or given == "typed" and asked
        t.equal(made, opens and named and 1 or 0, given)
        t.equal(run.code == 0, made == 1, given)
        t.equal(made == 1 and #fake.records(run, "gate") or 1, 1, given)
        count = count + 1
      end
    end)
  end
end

t.test("the matrix is whole: five kinds by fifteen ways, once and with four ways to name a protected environment", function()
  t.equal(count, 5 * 15 * (1 + 4))
end)
