/* What libpq does not say of a session's TLS: why a certificate was not trusted, and whether it
 * names a host at all. libpq makes the session and throws it away within one call, so we are told
 * by OpenSSL when it is made. */
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "sql_internal.h"

/* Where the session goes that this thread's call of libpq makes, or NULL. */
static _Thread_local SSL **wanted;

static void on_new(void *parent, void *item, CRYPTO_EX_DATA *data, int index, long number,
                   void *argument) {
  (void)item, (void)data, (void)index, (void)number, (void)argument;
  SSL *made = parent;
  if (wanted == NULL || SSL_up_ref(made) != 1) return;
  SSL_free(*wanted);
  *wanted = made;
}

PostgresPollingStatusType sql_tls_poll(PGconn *pg, struct ssl_st **held) {
  static int told = -1;
  if (told < 0) told = SSL_get_ex_new_index(0, NULL, on_new, NULL, NULL);
  wanted = held;
  PostgresPollingStatusType state = PQconnectPoll(pg);
  wanted = NULL;
  return state;
}

void sql_tls_drop(struct ssl_st **held) {
  SSL_free(*held);
  *held = NULL;
}

const char *sql_tls_verdict(const struct ssl_st *held) {
  long result = held != NULL ? SSL_get_verify_result(held) : X509_V_OK;
  return result != X509_V_OK ? X509_verify_cert_error_string(result) : NULL;
}

bool sql_tls_names_a_host(const struct ssl_st *held) {
  X509 *peer = SSL_get0_peer_certificate(held);
  if (peer == NULL) return false;
  GENERAL_NAMES *names = X509_get_ext_d2i(peer, NID_subject_alt_name, NULL, NULL);
  bool found = false;
  for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
    int type = sk_GENERAL_NAME_value(names, i)->type;
    found = found || type == GEN_DNS || type == GEN_IPADD;
  }
  GENERAL_NAMES_free(names);
  return found;
}
