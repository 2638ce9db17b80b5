/* What a failed request means: how far it came, what may have happened, and words for it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http_op.h"

const char *http_peer_name(const struct http_op *http) {
  static char name[HTTP_ORIGIN_MAX + 100];
  if (http->label != NULL)
    snprintf(name, sizeof name, "'%.64s' (%s)", http->label, http->origin.address);
  else snprintf(name, sizeof name, "'%s'", http->origin.text);
  return name;
}

/* Seconds as a person writes them: "30s", "1.5s", "250ms". */
static const char *duration_text(uint64_t ms) {
  static char text[40];
  if (ms < 1000) snprintf(text, sizeof text, "%ums", (unsigned)ms);
  else snprintf(text, sizeof text, "%gs", (double)ms / 1000.0);
  return text;
}

static bool has_time(const struct http_op *http, CURLINFO info) {
  curl_off_t value = 0;
  return curl_easy_getinfo(http->easy, info, &value) == CURLE_OK && value > 0;
}

/* Did any byte of the request leave? TLS handshakes do not count. */
static bool was_sent(const struct http_op *http) {
  long bytes = 0;
  curl_off_t body = 0;
  curl_easy_getinfo(http->easy, CURLINFO_REQUEST_SIZE, &bytes);
  curl_easy_getinfo(http->easy, CURLINFO_SIZE_UPLOAD_T, &body);
  return bytes > 0 || body > 0;
}

enum op_outcome http_outcome(const struct http_op *http) {
  if (!http->change) return was_sent(http) ? OP_FAILED : OP_NOT_SENT;
  /* The status line came: the server has spoken, whatever became of the rest. A gateway's 502 or
     504 says only that the gateway does not know either. */
  if (http->status == 502 || http->status == 504) return OP_UNKNOWN;
  if (http->status >= 400 || (http->status >= 300 && http->status < 400)) return OP_FAILED;
  if (http->status >= 200) return OP_DONE;
  return was_sent(http) ? OP_UNKNOWN : OP_NOT_SENT;
}

/* How far a request came that took too long. */
static void fail_timeout(struct http_op *http, uint64_t ms) {
  const char *peer = http_peer_name(http);
  enum op_outcome outcome = http_outcome(http);
  const char *within = duration_text(ms);
  struct op *op = &http->op;
  if (http->status != 0)
    op_fail(op, outcome, "timeout", "the answer of %s did not end within %s", peer, within);
  else if (was_sent(http))
    op_fail(op, outcome, "timeout", "no answer from %s within %s", peer, within);
  else if (!has_time(http, CURLINFO_NAMELOOKUP_TIME_T))
    op_fail(op, outcome, "timeout", "cannot connect to %s: the name was not resolved within %s",
            peer, within);
  else if (!has_time(http, CURLINFO_CONNECT_TIME_T))
    op_fail(op, outcome, "timeout", "cannot connect to %s: timed out after %s", peer, within);
  else
    op_fail(op, outcome, "timeout", "cannot connect to %s: TLS was not agreed within %s", peer,
            within);
}

void http_fail_stopped(struct http_op *http, enum op_stop why) {
  if (why == OP_STOP_TIMEOUT) {
    fail_timeout(http, http->op.timeout_ms);
    return;
  }
  op_fail(&http->op, http_outcome(http), "cancelled", "the request to %s was cancelled",
          http_peer_name(http));
}

/* OpenSSL's X509_V_ERR numbers, which are part of its interface. */
static const char *verify_text(const struct http_op *http) {
  if (http->no_names) return "its certificate names no host (it has no subjectAltName)";
  long result = 0;
  curl_easy_getinfo(http->easy, CURLINFO_SSL_VERIFYRESULT, &result);
  switch (result) {
    case 0:
    case 1: /* not set yet: libcurl looks at the names before it asks for the chain's verdict */
    case 62: return "its certificate is not for this host name";
    case 9: return "its certificate is not yet valid";
    case 10: return "its certificate has expired";
    case 18: return "its certificate is self-signed";
    case 19: return "its certificate chain ends in a self-signed one that is not trusted";
    case 2:
    case 20:
    case 21: return "its certificate is signed by an authority that is not trusted";
    case 24:
    case 79: return "its certificate is signed by one that may not sign";
    case 26: return "its certificate is not meant for servers";
    case 66:
    case 67:
    case 68: return "its certificate's key or signature is too weak";
    default: return NULL;
  }
}

/* The last part of "…: error:0A000102:SSL routines::unsupported protocol". */
static const char *last_words(const char *text) {
  const char *end = strstr(text, "::");
  if (end != NULL) return end + 2;
  end = strrchr(text, ':');
  return end != NULL && end[1] == ' ' && end[2] != '\0' ? end + 2 : text;
}

static void fail_tls(struct http_op *http, CURLcode result) {
  const char *peer = http_peer_name(http);
  struct op *op = &http->op;
  if (result == CURLE_SSL_CACERT_BADFILE) {
    op_fail(op, OP_NOT_SENT, "tls", "cannot check %s: the CA file '%s' cannot be read", peer,
            http->ca != NULL ? http->ca : "of the system");
    return;
  }
  bool verify = result == CURLE_PEER_FAILED_VERIFICATION || http->no_names;
  const char *why = verify ? verify_text(http) : NULL;
  if (why == NULL) why = http->error[0] != '\0' ? last_words(http->error) : "TLS was not agreed";
  if (verify) op_fail(op, OP_NOT_SENT, "tls", "cannot trust %s: %s", peer, why);
  else op_fail(op, http_outcome(http), "tls", "cannot connect to %s over TLS: %s", peer, why);
}

static void fail_connect(struct http_op *http) {
  long number = 0;
  curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &number);
  char text[128] = "no connection";
  if (number != 0) snprintf(text, sizeof text, "%s", strerror((int)number));
  if (text[0] >= 'A' && text[0] <= 'Z') text[0] = (char)(text[0] - 'A' + 'a');
  op_fail(&http->op, OP_NOT_SENT, number == ECONNREFUSED ? "refused" : "connect",
          "cannot connect to %s: %s", http_peer_name(http), text);
}

/* Our own callbacks ended the transfer. */
static void fail_write(struct http_op *http) {
  const char *peer = http_peer_name(http);
  enum op_outcome outcome = http_outcome(http);
  struct op *op = &http->op;
  if (http->too_large && http->cap >= 1024 * 1024)
    op_fail(op, outcome, "too large", "the answer of %s is larger than %zu MiB", peer,
            http->cap / (1024 * 1024));
  else if (http->too_large)
    op_fail(op, outcome, "too large", "the answer of %s is larger than %zu bytes", peer, http->cap);
  else if (http->too_many_headers)
    op_fail(op, outcome, "too large", "the answer of %s has too many headers", peer);
  else op_fail(op, outcome, "memory", "out of memory for the answer of %s", peer);
}

static void fail_lost(struct http_op *http) {
  const char *peer = http_peer_name(http);
  enum op_outcome outcome = http_outcome(http);
  if (http->status != 0)
    op_fail(&http->op, outcome, "reset", "the answer of %s ended early", peer);
  else if (outcome == OP_NOT_SENT)
    op_fail(&http->op, outcome, "reset", "the connection to %s was lost", peer);
  else op_fail(&http->op, outcome, "reset", "%s closed the connection without an answer", peer);
}

static void fail_by_code(struct http_op *http, CURLcode result) {
  const char *peer = http_peer_name(http);
  const char *words = http->error[0] != '\0' ? http->error : curl_easy_strerror(result);
  switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
      op_fail(&http->op, OP_NOT_SENT, "resolve", "cannot connect to %s: no such host name", peer);
      return;
    case CURLE_COULDNT_CONNECT: fail_connect(http); return;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS: fail_tls(http, result); return;
    case CURLE_OPERATION_TIMEDOUT:
      if (http->status != 0)
        op_fail(&http->op, http_outcome(http), "timeout", "the answer of %s stalled", peer);
      else fail_timeout(http, http->connect_timeout_ms);
      return;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE: fail_lost(http); return;
    case CURLE_OUT_OF_MEMORY:
      op_fail(&http->op, http_outcome(http), "memory", "out of memory for %s", peer);
      return;
    default:
      op_fail(&http->op, http_outcome(http), "protocol", "%s does not speak HTTP as it should: %s",
              peer, words);
      return;
  }
}

void http_fail_result(struct http_op *http, CURLcode result) {
  if (http->no_names) fail_tls(http, result);
  else if (result == CURLE_WRITE_ERROR) fail_write(http);
  else if (http->file_short)
    op_fail(&http->op, http_outcome(http), "file", "the file for %s was cut off while it was sent",
            http_peer_name(http));
  else fail_by_code(http, result);
}
