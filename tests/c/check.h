/* Tiny asserts for the C unit tests: each CHECK is a claim in plain words. */
#ifndef OPSRUN_TEST_CHECK_H
#define OPSRUN_TEST_CHECK_H

#include <stdio.h>

static int check_passed;
static int check_failed;

/* One claim: prints it when it does not hold. */
#define CHECK(condition, claim)                                                  \
  do {                                                                           \
    if (condition) {                                                             \
      check_passed++;                                                            \
    } else {                                                                     \
      check_failed++;                                                            \
      printf("FAILED: %s (%s:%d: %s)\n", (claim), __FILE__, __LINE__, #condition); \
    }                                                                            \
  } while (0)

/* Prints the count; the value for main to return. */
#define CHECK_RESULT() \
  (printf("%d claims hold, %d do not\n", check_passed, check_failed), check_failed == 0 ? 0 : 1)

#endif
