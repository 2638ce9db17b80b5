/* HTTP requests as operations. Lives in the shared module opsrun-http.so, which exports one
 * symbol, `opsrun_http_api`. Knows no Lua, no journal, no retries: one call, one request (and, if
 * asked for, at most three redirects within one origin).
 *
 * What it never does, whoever asks: another scheme than http and https, an unverified peer, TLS
 * below 1.2, a proxy, ~/.netrc, a redirect to another origin, a second attempt of a change, control
 * bytes in what it sends, a body beyond its cap. */
#ifndef OPSRUN_HTTP_H
#define OPSRUN_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../loop/op.h"

#define HTTP_DEFAULT_CAP ((size_t)16 * 1024 * 1024)
#define HTTP_DEFAULT_TIMEOUT_MS 30000u
#define HTTP_DEFAULT_CONNECT_TIMEOUT_MS 10000u
#define HTTP_MAX_REDIRECTS 3u

/* Bytes with a length; `data` may be NULL when there are none. Not zero-terminated for callers. */
struct http_bytes {
  const char *data;
  size_t len;
};

struct http_header {
  struct http_bytes name, value;
};

/* What to send. Everything is copied before the starter returns. */
struct http_request {
  struct http_bytes method;           /* capitals: "GET" */
  struct http_bytes url;              /* http:// or https://, printable ASCII */
  struct http_bytes origin;           /* if set, the URL must be of it: "https://host:8443" */
  struct http_bytes label;            /* what messages call the peer beside its address: "api" */
  const struct http_header *headers;
  size_t header_count;
  struct http_bytes bearer;           /* becomes "Authorization: Bearer …" */
  struct http_bytes user, password;   /* become "Authorization: Basic …" when user.data is set */
  struct http_bytes body;             /* data NULL: none */
  struct http_bytes file;             /* path of a regular file that is the body instead */
  struct http_bytes ca;               /* a PEM file to trust instead of the system's bundle */
  uint64_t timeout_ms;                /* the whole request; 0: default */
  uint64_t connect_timeout_ms;        /* name, connection and TLS; 0: default */
  size_t cap;                         /* bytes of decoded body; 0: default */
  unsigned follow;                    /* redirects to follow, at most HTTP_MAX_REDIRECTS */
  bool change;                        /* an unanswered one is `unknown`, never `failed` */
  bool fresh;                         /* a new connection, so that TLS facts are of now */
  bool decode;                        /* ask for gzip and unpack it, counted against cap */
};

/* Seconds since the start of the (last) request. */
struct http_timing {
  double resolve, connect, tls, first_byte, total;
};

/* The peer's own certificate. `names` are its DNS names and addresses. */
struct http_tls {
  char *subject, *issuer;
  int64_t starts, expires; /* seconds since 1970 */
  char **names;
  size_t name_count;
};

/* The answer. Valid until the operation is destroyed. */
struct http_response {
  int status;
  const struct http_header *headers; /* as sent, in order; names not folded */
  size_t header_count;
  struct http_bytes body;
  struct http_timing time;
  const struct http_tls *tls;        /* NULL for http:// */
  unsigned redirects;                /* followed */
};

struct http_api {
  /* Starts a request. Returns the operation, or NULL without memory. A request that may not be sent
     at all is an operation that failed as `not sent`, code "invalid". Codes: invalid, resolve,
     refused, connect, tls, timeout, cancelled, reset, protocol, too large, redirect, file,
     memory. */
  struct op *(*request)(const struct http_request *request);

  /* The answer of a finished operation that did not fail. */
  const struct http_response *(*response)(const struct op *op);

  /* Why this request would not be sent, or NULL if nothing is wrong with it. Sends nothing, opens
     nothing. The text is static or in `text`, never holds a header's value. */
  const char *(*check)(const struct http_request *request, char *text, size_t size);
};

#endif
