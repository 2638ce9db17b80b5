/* TLS: every bad peer is refused before a request is sent, the good one is trusted through its own
 * authority only, and its certificate's facts are told. */
#include <dlfcn.h>

#include "../http/fixture.h"
#include "check.h"

static int bundle_reads;

/* In front of the C library's: how often OpenSSL opens the system's bundle. */
FILE *fopen64(const char *restrict path, const char *restrict mode) {
  FILE *(*real)(const char *, const char *) = NULL;
  *(void **)&real = dlsym(RTLD_NEXT, "fopen64");
  if (strstr(path, "ca-certificates.crt") != NULL) bundle_reads++;
  return real(path, mode);
}

static struct http_request trusted(const char *peer, const char *path) {
  struct http_request request = request_of("GET", url_of(peer, path));
  request.ca = bytes_of(fact("ca"));
  return request;
}

static void claim_refused(const char *peer, const char *why) {
  for (int attempt = 1; attempt <= 2; attempt++) { /* a refused connection is not kept for later */
    struct http_request request = trusted(peer, "/echo");
    request.change = attempt == 2;
    struct op *op = run(request);
    bool right = op->failed && op->outcome == OP_NOT_SENT && strcmp(op->code, "tls") == 0 &&
                 message_holds(op, why);
    if (!right) printf("  %s: %s\n", peer, op->failed ? op->message : "an answer");
    CHECK(right, why);
    op_destroy(op);
  }
}

static void claim_bad_peers(void) {
  claim_refused("expired", "its certificate has expired");
  claim_refused("not_yet", "its certificate is not yet valid");
  claim_refused("self_signed", "its certificate is self-signed");
  claim_refused("wrong_host", "its certificate is not for this host name");
  claim_refused("no_san", "its certificate names no host (it has no subjectAltName)");
  claim_refused("unknown_ca", "its certificate is signed by an authority that is not trusted");
  claim_refused("bad_chain", "its certificate is signed by one that may not sign");
  claim_refused("cut_chain", "its certificate is signed by an authority that is not trusted");
  claim_refused("weak_key", "its certificate's key or signature is too weak");
  claim_refused("tls10", "over TLS: ");
  claim_refused("tls11", "over TLS: ");
}

/* The refusals above are no accident of a broken server: its own careless client gets through. */
static void claim_peers_do_speak(void) {
  static const char *const names[] = {"expired.speaks", "not_yet.speaks",    "self_signed.speaks",
                                      "no_san.speaks",  "wrong_host.speaks", "unknown_ca.speaks",
                                      "tls10.speaks",   "tls11.speaks",      "bad_chain.speaks",
                                      "cut_chain.speaks", "weak_key.speaks"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    CHECK(strcmp(fact(names[i]), "yes") == 0, names[i]);
}

static void claim_facts(void) {
  struct op *op = run(trusted("good", "/ok"));
  CHECK(!op->failed && answer(op)->status == 200, "a good peer is trusted through its authority");
  const struct http_tls *tls = op->failed ? NULL : answer(op)->tls;
  CHECK(tls != NULL && tls->expires == 2524607999 && tls->starts == 1577836800,
        "the certificate's dates are told in seconds since 1970");
  CHECK(tls != NULL && strcmp(tls->subject, "CN = localhost") == 0 &&
            strcmp(tls->issuer, "CN = authority") == 0,
        "subject and issuer are told");
  CHECK(tls != NULL && tls->name_count == 3 && strcmp(tls->names[0], "localhost") == 0 &&
            strcmp(tls->names[1], "127.0.0.1") == 0 && strcmp(tls->names[2], "named.test") == 0,
        "names and addresses are told");
  CHECK(!op->failed && answer(op)->time.tls > 0, "the handshake's time is told");
  op_destroy(op);
  op = run(trusted("good", "/ok"));
  CHECK(!op->failed && answer(op)->time.tls == 0, "the second read makes no handshake");
  CHECK(!op->failed && answer(op)->tls != NULL && answer(op)->tls->name_count == 3,
        "and still knows the certificate");
  op_destroy(op);
  struct http_request request = trusted("good", "/ok");
  request.fresh = true;
  op = run(request);
  CHECK(!op->failed && answer(op)->time.tls > 0, "asked for a fresh look it shakes hands again");
  op_destroy(op);
  op = run(request_of("GET", url_of("good", "/ok")));
  CHECK(op->failed && strcmp(op->code, "tls") == 0,
        "what one authority file vouches for, the system's bundle does not");
  op_destroy(op);
  request.ca = bytes_of("/nowhere/ca.pem");
  op = run(request);
  CHECK(op->failed && message_holds(op, "the CA file '/nowhere/ca.pem' cannot be read"),
        "a CA file that is not there is named");
  op_destroy(op);
}

/* Parsing the system's bundle costs 22 ms: it is read once, not once a handle. */
static void claim_bundle_is_read_once(void) {
  op_destroy(run(request_of("GET", url_of("good", "/ok"))));
  CHECK(bundle_reads == 1, "the system's bundle was read");
  uint64_t began = loop_now_ns();
  for (int i = 0; i < 10; i++) op_destroy(run(request_of("GET", url_of("good", "/ok"))));
  printf("a handshake with the parsed bundle: %.1f ms\n", (double)(loop_now_ns() - began) / 1e7);
  CHECK(bundle_reads == 1, "ten more handshakes do not read it again");
}

int main(void) {
  fixture_open();
  claim_bad_peers();
  claim_peers_do_speak();
  claim_facts();
  claim_bundle_is_read_once();
  fixture_close();
  return CHECK_RESULT();
}
