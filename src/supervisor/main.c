/* opsrun-supervisor: started by opsrun, once for each command. Two modes:
 *   run [--cwd DIR] [--jail] [--tty] -- COMMAND…       supervises a command
 *   inside [--cwd DIR] [--net] [--writable DIR]… (--probe | -- COMMAND…)   last step in the jail */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor.h"

#define WRITABLE_MAX 32

static _Noreturn void usage(void) {
  static const char words[] =
      "opsrun-supervisor is a part of opsrun: it ends what a command started, and is not called by "
      "hand\n";
  ssize_t ignored = write(STDERR_FILENO, words, sizeof words - 1);
  (void)ignored;
  _exit(2);
}

struct arguments {
  struct inside_options inside;
  char *writable[WRITABLE_MAX + 1];
  size_t writable_count;
  bool jail, probe, tty;
  char **command;
};

static void parse(char **argv, struct arguments *out) {
  memset(out, 0, sizeof *out);
  out->inside.writable = out->writable;
  for (; *argv != NULL; argv++) {
    if (strcmp(*argv, "--") == 0) {
      out->command = argv + 1;
      return;
    }
    if (strcmp(*argv, "--jail") == 0) out->jail = true;
    else if (strcmp(*argv, "--tty") == 0) out->tty = true;
    else if (strcmp(*argv, "--net") == 0) out->inside.net = true;
    else if (strcmp(*argv, "--probe") == 0) out->probe = true;
    else if (argv[1] != NULL && strcmp(*argv, "--cwd") == 0) out->inside.cwd = *++argv;
    else if (argv[1] != NULL && strcmp(*argv, "--writable") == 0 &&
             out->writable_count < WRITABLE_MAX)
      out->writable[out->writable_count++] = *++argv;
    else usage();
  }
}

int main(int argc, char **argv) {
  if (argc < 3) usage();
  struct arguments args;
  parse(argv + 2, &args);
  bool has_command = args.command != NULL && args.command[0] != NULL;
  if (strcmp(argv[1], "run") == 0 && has_command)
    supervise(args.command, args.inside.cwd, args.jail, args.tty);
  if (strcmp(argv[1], "inside") == 0 && args.probe) inside_probe(&args.inside);
  if (strcmp(argv[1], "inside") == 0 && has_command) inside_run(&args.inside, args.command);
  usage();
}
