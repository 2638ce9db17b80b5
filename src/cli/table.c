/* The table of commands and options. Parser, help pages and docs/reference/cli.md come from it. */
#include "cli.h"

#define ON(command) (1u << (command))
#define PLAYS (ON(CLI_PLAY))
#define GOES_ON (ON(CLI_RESUME) | ON(CLI_UNDO))
#define LOADS (ON(CLI_PLAY) | ON(CLI_PARAMS) | ON(CLI_DOCTOR))
#define READS_RUNS (ON(CLI_RUNS) | ON(CLI_STATUS) | ON(CLI_LOG) | ON(CLI_VERIFY))
#define EVERY ((1u << CLI_COMMANDS) - 1)

const struct cli_command cli_commands[CLI_COMMANDS] = {
    {"play", "PLAYBOOK", 1, 1, "Play a playbook, step by step",
     "Plays the steps of a playbook against an environment and writes a journal of the run. With "
     "-n it "
     "reads for real and shows every change instead of making it."},
    {"list", "[WORDS]", 0, -1, "List the playbooks there are",
     "Lists every playbook found: severity, within what time somebody should be at it, path and "
     "title. WORDS narrow the list: a playbook is shown when path, title, description or sources "
     "hold all of them."},
    {"show", "PLAYBOOK", 1, 1, "Show what a playbook does and may touch",
     "Shows title, severity, response time, parameters, what the playbook may touch, its steps "
     "with their ids, and its sources. Reads the file only; with -e also the rules of an "
     "environment."},
    {"check", "PLAYBOOK...", 1, -1, "Check playbooks for mistakes",
     "Loads playbooks, or all below a directory, and reports what would stop them or mislead: "
     "unknown "
     "header fields, duplicate steps, undeclared globals, steps that assign a local of the file."},
    {"params", "PLAYBOOK", 1, 1, "Show each parameter's value and where it comes from",
     "Shows the values a run would get in this environment, and whether each comes from -p, from "
     "the "
     "environment or from the playbook's default."},
    {"doctor", "", 0, 0, "Check this installation and an environment's connections",
     "Looks at the installation (state directory, client modules, jail) and, with an environment, "
     "says which of its secrets are missing and connects once to everything it names. Changes "
     "nothing."},
    {"runs", "", 0, 0, "List past runs, newest first",
     "Lists what was played: run id, when, where, by whom and how it ended."},
    {"status", "", 0, 0, "Show runs that are going on or left something open",
     "Shows runs that are not over and runs that left something to take back."},
    {"log", "RUN", 1, 1, "Show the journal of a run",
     "Shows the records of a run's journal in order. RUN is a run id or a unique beginning of "
     "one."},
    {"resume", "[RUN]", 0, 1, "Go on with a run that did not end well",
     "Plays the frozen playbook of a run that was killed, failed, was refused or suspended. Steps "
     "that are over "
     "return what they returned; the one that was cut short is taken from the journal up to its "
     "last change, the "
     "rest is live. No recorded change is made twice."},
    {"undo", "RUN", 1, 1, "Take back what a run did",
     "Works off the ways back (undo, always, ensure) that a run registered and nobody has taken, "
     "the last one "
     "first."},
    {"answer", "RUN GATE=VALUE", 2, 2, "Answer a gate that a suspended run waits for",
     "Writes the answer into the run's journal, bound to what the run showed; 'opsrun resume' then "
     "goes on with "
     "it. Another user of the same state directory may do it."},
    {"close", "RUN", 1, 1, "Say that nothing more will come of a run",
     "Marks a run as closed: it is no longer listed as open, and cannot be resumed. Nothing is "
     "taken back."},
    {"replay", "RUN", 1, 1, "Play a run again from its journal alone",
     "Plays the frozen playbook against the journal: nothing is sent, every result is the recorded "
     "one. It stops "
     "where playbook and journal disagree."},
    {"verify", "RUN", 1, 1, "Prove that a run's journal is what was written",
     "Looks whether the journal of a run is whole: every record follows the one before it, and what "
     "it names is unchanged. Only with the anchor that a live run printed at its end is it proved "
     "that nothing was cut off or written anew. OK: exit 0, TAMPERED: 1, UNANCHORED: 4."},
    {"help", "[COMMAND | exit-codes]", 0, 1, "Show help",
     "Shows the overview, the page of one command, or the exit codes."},
    {"version", "", 0, 0, "Show the version", "Shows the version."},
};

#define BEFORE "Before it starts"
#define WHICH "Which steps"
#define QUESTIONS "Questions"
#define ENDING "When it goes wrong"
#define PROOF "What is proved"
#define OUTPUT "Output"

const struct cli_option cli_option_table[] = {
    {"environment", 'e', CLI_TEXT, "ENV", NULL, NULL, LOADS | ON(CLI_SHOW), BEFORE,
     "Play in this environment; default: $OPSRUN_ENV, else the only one"},
    {"config", 0, CLI_TEXT, "DIR", NULL, NULL, LOADS | ON(CLI_SHOW) | GOES_ON | ON(CLI_REPLAY),
     BEFORE,
     "Look for environments in DIR first"},
    {"param", 'p', CLI_PAIRS, "NAME=VALUE", "params", NULL, ON(CLI_PLAY) | ON(CLI_PARAMS), BEFORE,
     "Set a parameter; may be repeated"},
    {"dry-run", 'n', CLI_FLAG, NULL, NULL, NULL, PLAYS, BEFORE,
     "Read for real, show every change, make none"},
    {"rehearse", 0, CLI_FLAG, NULL, NULL, NULL, PLAYS, BEFORE,
     "Dry run that makes SQL changes and rolls them back; never where the environment is protected"},
    {"allow-unproved-reads", 0, CLI_FLAG, NULL, NULL, NULL, PLAYS, BEFORE,
     "In a dry run, run reads this machine cannot jail"},
    {"last", 0, CLI_FLAG, NULL, NULL, NULL, ON(CLI_RESUME), BEFORE, "The newest run that can go on"},
    {"standing", 0, CLI_FLAG, NULL, NULL, NULL, ON(CLI_RUNS), OUTPUT,
     "What runs switched on to stay, until 'opsrun undo' takes it back"},
    {"accept", 0, CLI_FLAG, NULL, NULL, NULL, GOES_ON, BEFORE,
     "Go on although parameters, environment or playbook changed"},
    {"edited", 0, CLI_FLAG, NULL, NULL, NULL, ON(CLI_RESUME), BEFORE,
     "Play the changed playbook, if every recorded call still matches"},
    {"stale-ok", 0, CLI_FLAG, NULL, NULL, NULL, ON(CLI_RESUME), BEFORE,
     "Rest changes on recorded reads, however old"},
    {"anyway", 0, CLI_FLAG, NULL, NULL, NULL, PLAYS | ON(CLI_RESUME), BEFORE,
     "Play beside another run that holds the playbook's lock"},
    {"override", 0, CLI_LIST, "RULE", NULL, NULL, PLAYS | ON(CLI_RESUME), BEFORE,
     "Set a rule aside, such as limits.sessions or rules.within, with --because; loudly"},
    {"because", 0, CLI_TEXT, "TEXT", NULL, NULL, PLAYS | ON(CLI_RESUME) | ON(CLI_CLOSE), BEFORE,
     "Why: for --override and close"},
    {"from", 0, CLI_TEXT, "ID", NULL, NULL, PLAYS | ON(CLI_RESUME), WHICH,
     "Start at this step; resume: run it, and what follows, again"},
    {"until", 0, CLI_TEXT, "ID", NULL, NULL, PLAYS, WHICH, "End after this step"},
    {"skip", 0, CLI_LIST, "ID", NULL, NULL, PLAYS, WHICH, "Leave this step out; may be repeated"},
    {"yes", 0, CLI_FLAG, NULL, NULL, NULL, PLAYS | GOES_ON, QUESTIONS,
     "Answer ordinary gates with yes; never typed or protected ones"},
    {"answer", 0, CLI_PAIRS, "GATE=VALUE", "answers", NULL, PLAYS | GOES_ON, QUESTIONS,
     "Answer this one gate; may be repeated"},
    {"step", 0, CLI_FLAG, NULL, NULL, NULL, PLAYS, QUESTIONS,
     "Ask before each step: go on, skip it, or stop"},
    {"no-input", 0, CLI_FLAG, NULL, NULL, NULL, PLAYS | GOES_ON, QUESTIONS,
     "Ask nothing: an unanswered gate refuses"},
    {"suspend-at-gates", 0, CLI_FLAG, NULL, NULL, NULL, PLAYS | ON(CLI_RESUME), QUESTIONS,
     "Suspend the run at a gate that nobody answers, instead of refusing"},
    {"deadline", 0, CLI_TEXT, "TIME", NULL, NULL, PLAYS | GOES_ON, ENDING,
     "End the run after TIME, such as 30m"},
    {"memory", 0, CLI_TEXT, "SIZE", NULL, NULL, PLAYS | GOES_ON, ENDING,
     "End the run when its data takes more memory; default: 1gb"},
    {"fail-on", 0, CLI_TEXT, "LEVEL", NULL, "warning|critical", PLAYS, ENDING,
     "Exit 1 when a check is this bad, also in a dry run: warning, critical"},
    {"undo-on-failure", 0, CLI_FLAG, NULL, NULL, NULL, PLAYS | GOES_ON, ENDING,
     "Take back what was changed when a step fails"},
    {"anchor", 0, CLI_TEXT, "TEXT|FILE", NULL, NULL, ON(CLI_VERIFY), PROOF,
     "The anchor, COUNT:SHA256, or a file that holds it"},
    {"follow", 'f', CLI_FLAG, NULL, NULL, NULL, ON(CLI_LOG), OUTPUT, "Go on until the run ends"},
    {"json", 0, CLI_FLAG, NULL, NULL, NULL,
     PLAYS | GOES_ON | READS_RUNS | ON(CLI_LIST_PLAYBOOKS) | ON(CLI_CHECK) | ON(CLI_PARAMS), OUTPUT,
     "Print JSON, one object a line, and nothing else"},
    {"verbose", 'v', CLI_COUNT, NULL, "verbosity", NULL, PLAYS | GOES_ON, OUTPUT,
     "Show every effect; -vv: also its result"},
    {"quiet", 'q', CLI_FLAG, NULL, NULL, NULL, PLAYS | GOES_ON, OUTPUT,
     "Show failures and the summary only"},
    {"color", 0, CLI_TEXT, "WHEN", NULL, "auto|always|never", EVERY, OUTPUT,
     "Use colour: auto, always or never; NO_COLOR is obeyed"},
    {"help", 'h', CLI_FLAG, NULL, NULL, NULL, EVERY, OUTPUT, "Show this help"},
};

const size_t cli_option_count = sizeof cli_option_table / sizeof cli_option_table[0];
