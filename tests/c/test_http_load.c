/* Many at once, and names that take their time: the loop goes on turning. Prints its figures. */
#include <dlfcn.h>
#include <netdb.h>
#include <time.h>

#include "../http/fixture.h"
#include "check.h"

#define CHECKS 500

/* In front of the C library's: "slow.test" takes two seconds, as a lost name server would. */
int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict result) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = NULL;
  *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  if (node != NULL && strcmp(node, "slow.test") == 0) {
    struct timespec two = {2, 0};
    nanosleep(&two, NULL);
    return EAI_AGAIN;
  }
  return real(node, service, hints, result);
}

static double seconds_since(uint64_t began) { return (double)(loop_now_ns() - began) / 1e9; }

static void claim_many_at_once(void) {
  static struct op *ops[CHECKS];
  struct http_request request = request_of("GET", url_of("plain", "/ok"));
  uint64_t began = loop_now_ns();
  for (int i = 0; i < CHECKS; i++) ops[i] = start(&request);
  int fine = 0;
  for (int i = 0; i < CHECKS; i++) {
    await(ops[i]);
    if (!ops[i]->failed && answer(ops[i])->status == 200) fine++;
    else printf("  %s\n", ops[i]->message != NULL ? ops[i]->message : "no 200");
    op_destroy(ops[i]);
  }
  printf("%d checks at once: %.0f ms\n", CHECKS, seconds_since(began) * 1000);
  CHECK(fine == CHECKS, "500 checks at once are all answered");
}

static void claim_side_by_side(void) {
  static struct op *ops[20];
  struct http_request request = request_of("GET", url_of("plain", "/slow/0.5"));
  uint64_t began = loop_now_ns();
  for (int i = 0; i < 20; i++) ops[i] = start(&request);
  for (int i = 0; i < 20; i++) op_destroy(await(ops[i]));
  CHECK(seconds_since(began) < 5, "20 slow peers take as long as one");
}

static void claim_one_after_the_other(void) {
  uint64_t began = loop_now_ns();
  int fine = 0;
  for (int i = 0; i < 200; i++) {
    struct op *op = run(request_of("GET", url_of("plain", "/ok")));
    if (op->failed) printf("  %s\n", op->message);
    else fine += answer(op)->status == 200 && answer(op)->body.len == 4;
    op_destroy(op);
  }
  CHECK(fine == 200, "200 requests one after the other are answered");
  printf("one kept connection: %.0f us a request, the Python peer's time included\n",
         seconds_since(began) / 200 * 1e6);
}

static void claim_resolver_is_off_the_loop(void) {
  struct http_request slow = request_of("GET", "http://slow.test/");
  slow.timeout_ms = 300;
  uint64_t began = loop_now_ns();
  struct op *waiting = start(&slow);
  struct op *other = run(request_of("GET", url_of("plain", "/ok")));
  CHECK(!other->failed && seconds_since(began) < 1.5, "a name that hangs holds nobody else up");
  op_destroy(other);
  await(waiting);
  CHECK(waiting->failed && waiting->outcome == OP_NOT_SENT && seconds_since(began) < 1.5,
        "it ends by its own time-out, without waiting for the resolver");
  CHECK(message_holds(waiting, "the name was not resolved within 300ms"), "and says why");
  op_destroy(waiting);
  CHECK(seconds_since(began) < 1.5, "nor does letting go of it wait");
  slow.timeout_ms = 10000;
  began = loop_now_ns();
  waiting = run(slow);
  CHECK(waiting->failed && strcmp(waiting->code, "resolve") == 0 && seconds_since(began) < 6,
        "a resolver that gives up is told at once");
  op_destroy(waiting);
}

int main(void) {
  fixture_open();
  claim_many_at_once();
  claim_side_by_side();
  claim_one_after_the_other();
  claim_resolver_is_off_the_loop();
  fixture_close();
  return CHECK_RESULT();
}
