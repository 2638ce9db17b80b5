/* Facts about a peer's certificate, from what libcurl collected in the handshake. */
#ifndef OPSRUN_HTTP_TLS_H
#define OPSRUN_HTTP_TLS_H

#include <curl/curl.h>

#include "http.h"

/* Remembers the certificate that the last handshake of `easy` showed, if there was one, as that of
   `origin` as trusted through `ca` (NULL: system). Requests on a kept connection make no handshake:
   they are told what is remembered. Returns it, counted as in use, or NULL. */
struct http_tls *http_tls_learn(CURL *easy, const char *origin, const char *ca);

/* Gives it back. NULL will do. */
void http_tls_release(struct http_tls *tls);

/* Does the certificate of this handshake name a host or an address in subjectAltName? True as well
   when there was no handshake. libcurl falls back on the common name, which nothing may do now. */
bool http_tls_has_names(CURL *easy);

#endif
