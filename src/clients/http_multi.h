/* libcurl's multi interface on the loop. One kept multi handle a set of trusted certificates: the
 * handle is what holds the connections and the parsed CA bundle (22 ms to parse: it must live). */
#ifndef OPSRUN_HTTP_MULTI_H
#define OPSRUN_HTTP_MULTI_H

#include <curl/curl.h>

struct http_pool;

/* Called when a transfer ended. It is in no pool any more and may be added again. */
typedef void (*http_done)(CURL *easy, CURLcode result);

/* The pool for a CA file (NULL: the system's bundle), made on first use and never closed. NULL
   without memory or when libcurl cannot start. `done` must be the same in every call. */
struct http_pool *http_pool_get(const char *ca, http_done done);

/* Starts the transfer; it moves when the loop turns, never at once. Returns 0 or -1. */
int http_pool_add(struct http_pool *pool, CURL *easy);

/* Gives a running transfer up. Not to be called from a callback of libcurl. */
void http_pool_remove(struct http_pool *pool, CURL *easy);

#endif
