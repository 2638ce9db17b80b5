/* TLS: always verified, chain and host name; nothing turns that off. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "redis_internal.h"

/* The last error OpenSSL noted, in words. */
static void explain(char *why, size_t size, const char *otherwise) {
  unsigned long error = ERR_peek_last_error();
  const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;
  snprintf(why, size, "%s", reason != NULL ? reason : otherwise);
  ERR_clear_error();
}

static SSL_CTX *new_context(const char *ca, char *why, size_t size) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (context == NULL) {
    explain(why, size, "out of memory");
    return NULL;
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  int fine = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;
  if (fine == 1)
    fine = ca != NULL ? SSL_CTX_load_verify_locations(context, ca, NULL)
                      : SSL_CTX_set_default_verify_paths(context);
  if (fine == 1) return context;
  if (ca != NULL) snprintf(why, size, "cannot read the authorities of '%.150s'", ca);
  else explain(why, size, "no trusted authorities");
  ERR_clear_error();
  SSL_CTX_free(context);
  return NULL;
}

static bool is_address(const char *host) {
  unsigned char raw[16];
  return inet_pton(AF_INET, host, raw) == 1 || inet_pton(AF_INET6, host, raw) == 1;
}

/* The certificate must be for `host`: by its alternative names, never by its subject. */
static bool expect_host(SSL *ssl, const char *host) {
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (is_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
  return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *tls_new(int fd, const char *host, const char *ca, char *why, size_t size) {
  SSL_CTX *context = new_context(ca, why, size);
  if (context == NULL) return NULL;
  SSL *ssl = SSL_new(context);
  SSL_CTX_free(context); /* the session keeps it */
  if (ssl != NULL && expect_host(ssl, host) && SSL_set_fd(ssl, fd) == 1) {
    SSL_set_connect_state(ssl);
    return ssl;
  }
  explain(why, size, "out of memory");
  SSL_free(ssl);
  return NULL;
}

int tls_shake(SSL *ssl, bool *wants_write, char *why, size_t size) {
  ERR_clear_error();
  int result = SSL_do_handshake(ssl);
  if (result == 1) return 1;
  int error = SSL_get_error(ssl, result);
  *wants_write = error == SSL_ERROR_WANT_WRITE;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
  long verdict = SSL_get_verify_result(ssl);
  if (verdict != X509_V_OK) {
    snprintf(why, size, "the server's certificate is not trusted: %s",
             X509_verify_cert_error_string(verdict));
    ERR_clear_error();
  } else {
    explain(why, size, "the server ended the handshake");
  }
  return -1;
}
