/* The command line: one table (table.c) behind parser, help and docs/reference/cli.md. */
#ifndef OPSRUN_CLI_H
#define OPSRUN_CLI_H

#include <stdbool.h>
#include <stddef.h>

/* cli_parse's answer when there is something to run. */
#define CLI_GO_ON (-1)

enum cli_kind {
  CLI_FLAG,  /* given or not */
  CLI_COUNT, /* may be repeated: -vv */
  CLI_TEXT,  /* one argument, the last one counts */
  CLI_LIST,  /* one argument, may be repeated */
  CLI_PAIRS  /* the same, and the argument is NAME=VALUE */
};

struct cli_option {
  const char *name;     /* long name without dashes; the Lua side sees '_' for '-' */
  char letter;          /* short form, or 0 */
  enum cli_kind kind;
  const char *argument; /* as help shows it: "ENV", or NULL */
  const char *key;      /* name on the Lua side when it is not the long name */
  const char *choices;  /* "auto|always|never": what the argument may be, or NULL */
  unsigned commands;    /* bits: 1u << enum cli_command */
  const char *group;    /* heading in help */
  const char *help;     /* one line, verb first */
};

struct cli_command {
  const char *name;
  const char *words; /* as help shows them: "PLAYBOOK", "[WORDS]" */
  int least, most;   /* how many words; most < 0: any number */
  const char *help;  /* one line, verb first */
  const char *about; /* a paragraph for its own help page */
};

/* In order of help. */
enum cli_command_id {
  CLI_PLAY, CLI_LIST_PLAYBOOKS, CLI_SHOW, CLI_CHECK, CLI_PARAMS, CLI_DOCTOR,
  CLI_RUNS, CLI_STATUS, CLI_LOG, CLI_RESUME, CLI_UNDO, CLI_ANSWER, CLI_CLOSE, CLI_REPLAY,
  CLI_VERIFY, CLI_HELP, CLI_VERSION, CLI_COMMANDS
};

extern const struct cli_command cli_commands[CLI_COMMANDS];
extern const struct cli_option cli_option_table[];
extern const size_t cli_option_count;

struct cli_value {
  const struct cli_option *option;
  const char *text; /* points into argv; NULL for flags and counts */
};

/* What was asked for. Points into argv and into memory that lives as long as the process. */
struct cli_options {
  const struct cli_command *command;
  const char **words;
  size_t word_count;
  struct cli_value *values; /* in the order given */
  size_t value_count;
};

/* Parses. Returns CLI_GO_ON with *out filled, or the exit code after having printed help, version
   or a usage error. Call once. */
int cli_parse(int argc, char **argv, struct cli_options *out);

/* The command or option whose name is nearest to `word`, or NULL when none is near. */
const struct cli_command *cli_nearest_command(const char *word);
const struct cli_option *cli_nearest_option(const char *word, unsigned commands);

/* Help texts on stdout: the overview, or the page of a command. */
void cli_help_overview(void);
void cli_help_command(const struct cli_command *command);
void cli_help_exit_codes(void);

/* docs/reference/cli.md and docs/reference/exit-codes.md, on stdout. */
void cli_help_markdown(void);
void cli_exit_codes_markdown(void);

#endif
