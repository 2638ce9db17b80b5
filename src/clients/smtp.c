/* One mail: checked, handed to libcurl, ended with the server's own words. In a thread of the
 * loop's pool, since libcurl waits for the answer to a mail's last byte without giving the loop its
 * turn. */
#include "smtp.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../loop/work.h"

#define ADDRESS_MAX 254u
#define HOST_MAX 253u
#define GRACE_MS 1500u /* libcurl keeps the time itself; the loop only behind it */

struct smtp_op {
  struct work work; /* first: the loop sees only this */
  CURL *easy;
  struct curl_slist *to;
  uint64_t timeout_ms;
  char host[HOST_MAX + 1];
  char peer[HOST_MAX + 16]; /* "mail.example.com:587", for messages */
  char *message;
  size_t message_len, sent;
  bool began;      /* the server asked for the mail */
  char reply[256]; /* its last line */
  char error[CURL_ERROR_SIZE];
};

/* -- what may be sent ------------------------------------------------------------------------- */

static bool is_loopback(const char *host) {
  struct in6_addr six;
  struct in_addr four;
  if (inet_pton(AF_INET, host, &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  if (inet_pton(AF_INET6, host, &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  return strcmp(host, "localhost") == 0;
}

/* Printable ASCII without what separates or ends an address. */
static bool is_address(const char *text) {
  size_t len = text != NULL ? strlen(text) : 0;
  const char *at = len > 0 ? strchr(text, '@') : NULL;
  if (at == NULL || at == text || at[1] == '\0' || len > ADDRESS_MAX) return false;
  for (const char *c = text; *c != '\0'; c++)
    if (*c <= ' ' || *c > '~' || strchr("<>()[]\\,;:\"", *c) != NULL) return false;
  return strchr(at + 1, '@') == NULL;
}

static bool is_host(const char *text) {
  size_t len = text != NULL ? strlen(text) : 0;
  if (len == 0 || len > HOST_MAX) return false;
  return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") == len;
}

static const char *find_wrong(const struct smtp_mail *mail) {
  if (!is_host(mail->host) || mail->port == 0) return "its server is no host and port";
  if (!is_address(mail->from)) return "its sender is no mail address";
  if (mail->to_count == 0 || mail->to_count > SMTP_RECIPIENTS_MAX)
    return "it has no recipient, or too many";
  for (size_t i = 0; i < mail->to_count; i++)
    if (!is_address(mail->to[i])) return "a recipient is no mail address";
  if (mail->message_len == 0 || mail->message_len > SMTP_MESSAGE_MAX)
    return "it is empty or too large";
  if (mail->protection == SMTP_CLEAR && !is_loopback(mail->host))
    return "it would travel in clear text to another machine";
  return NULL;
}

/* -- libcurl's callbacks ---------------------------------------------------------------------- */

static size_t on_read(char *room, size_t unit, size_t count, void *data) {
  struct smtp_op *smtp = data;
  size_t len = unit * count, left = smtp->message_len - smtp->sent;
  if (len > left) len = left;
  memcpy(room, smtp->message + smtp->sent, len);
  smtp->sent += len;
  smtp->began = true;
  return len;
}

/* The server's lines, one a call: "550 5.1.1 no such user". Its goodbye explains nothing. */
static size_t on_line(char *line, size_t unit, size_t count, void *data) {
  struct smtp_op *smtp = data;
  size_t len = unit * count, kept = len;
  while (kept > 0 && (line[kept - 1] == '\n' || line[kept - 1] == '\r')) kept--;
  if (kept >= 3 && strncmp(line, "221", 3) == 0) return len;
  if (kept >= sizeof smtp->reply) kept = sizeof smtp->reply - 1;
  memcpy(smtp->reply, line, kept);
  smtp->reply[kept] = '\0';
  return len;
}

static int on_progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
  (void)a, (void)b, (void)c, (void)d;
  struct smtp_op *smtp = data;
  return work_stopped(&smtp->work) ? 1 : 0;
}

static size_t on_body(char *bytes, size_t unit, size_t count, void *data) {
  (void)bytes;
  (void)data;
  return unit * count;
}

static curl_socket_t on_open_socket(void *data, curlsocktype purpose,
                                    struct curl_sockaddr *address) {
  (void)data;
  (void)purpose;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* The host is checked with the chain, before a login; and a name in the subject alone is none. */
static CURLcode on_tls(CURL *easy, void *context, void *data) {
  (void)easy;
  struct smtp_op *smtp = data;
  X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  bool ok = X509_VERIFY_PARAM_set1_ip_asc(param, smtp->host) == 1 ||
            X509_VERIFY_PARAM_set1_host(param, smtp->host, 0) == 1;
  return ok ? CURLE_OK : CURLE_SSL_CONNECT_ERROR;
}

/* -- ends ------------------------------------------------------------------------------------- */

/* What is known when no final answer came. */
static enum op_outcome outcome_of(const struct smtp_op *smtp) {
  if (!smtp->began) return OP_NOT_SENT;
  return smtp->sent < smtp->message_len ? OP_FAILED : OP_UNKNOWN;
}

static const char *verify_text(CURL *easy) {
  long result = 0;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &result);
  if (result > 1) return X509_verify_cert_error_string(result);
  return "its certificate is not for this host name";
}

static bool said_no(const struct smtp_op *smtp) {
  return smtp->reply[0] == '4' || smtp->reply[0] == '5';
}

static void fail_connect(struct smtp_op *smtp) {
  long number = 0;
  curl_easy_getinfo(smtp->easy, CURLINFO_OS_ERRNO, &number);
  const char *known = number != 0 ? strerrordesc_np((int)number) : NULL;
  char text[128];
  snprintf(text, sizeof text, "%s", known != NULL ? known : "no connection");
  if (text[0] >= 'A' && text[0] <= 'Z') text[0] = (char)(text[0] - 'A' + 'a');
  work_fail(&smtp->work, OP_NOT_SENT, number == ECONNREFUSED ? "refused" : "connect",
            "cannot connect to '%s': %s", smtp->peer, text);
}

/* The server's last line said no, or nothing was said at all. */
static void fail_talk(struct smtp_op *smtp) {
  struct work *work = &smtp->work;
  if (said_no(smtp))
    work_fail(work, smtp->began ? OP_FAILED : OP_NOT_SENT, "rejected", "'%s' refused the mail: %s",
              smtp->peer, smtp->reply);
  else
    work_fail(work, outcome_of(smtp), "reset", "the connection to '%s' was lost%s", smtp->peer,
              smtp->began ? " while the mail was sent" : "");
}

static void fail_tls(struct smtp_op *smtp, CURLcode result) {
  struct work *work = &smtp->work;
  if (result == CURLE_PEER_FAILED_VERIFICATION)
    work_fail(work, OP_NOT_SENT, "tls", "cannot trust '%s': %s", smtp->peer,
              verify_text(smtp->easy));
  else if (result == CURLE_USE_SSL_FAILED)
    work_fail(work, OP_NOT_SENT, "tls", "cannot protect the mail: '%s' offers no STARTTLS",
              smtp->peer);
  else if (result == CURLE_SSL_CACERT_BADFILE)
    work_fail(work, OP_NOT_SENT, "tls", "cannot check '%s': the CA file cannot be read",
              smtp->peer);
  else
    work_fail(work, OP_NOT_SENT, "tls", "cannot connect to '%s' over TLS: %s", smtp->peer,
              smtp->error[0] != '\0' ? smtp->error : "TLS was not agreed");
}

static void fail(struct smtp_op *smtp, CURLcode result) {
  struct work *work = &smtp->work;
  switch (result) {
    case CURLE_ABORTED_BY_CALLBACK: work_fail_stopped(work, outcome_of(smtp)); return;
    case CURLE_COULDNT_RESOLVE_HOST:
      work_fail(work, OP_NOT_SENT, "resolve", "cannot connect to '%s': the name is not known",
                smtp->peer);
      return;
    case CURLE_COULDNT_CONNECT: fail_connect(smtp); return;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_INVALIDCERTSTATUS: fail_tls(smtp, result); return;
    case CURLE_LOGIN_DENIED:
      work_fail(work, OP_NOT_SENT, "login", "'%s' refused the login: %s", smtp->peer,
                said_no(smtp) ? smtp->reply : "no way to log in that both know");
      return;
    case CURLE_OUT_OF_MEMORY:
      work_fail(work, outcome_of(smtp), "memory", "out of memory for a mail");
      return;
    case CURLE_OPERATION_TIMEDOUT:
      work_fail(work, outcome_of(smtp), "timeout", "no answer from '%s' within %gs", smtp->peer,
                (double)smtp->timeout_ms / 1000.0);
      return;
    default: fail_talk(smtp); return;
  }
}

/* In the thread. */
static void run(struct work *work) {
  struct smtp_op *smtp = (struct smtp_op *)work;
  CURLcode result = curl_easy_perform(smtp->easy);
  if (result != CURLE_OK) fail(smtp, result);
  curl_easy_cleanup(smtp->easy); /* its connection is closed in the thread that used it */
  smtp->easy = NULL;
  OPENSSL_thread_stop(); /* the pool's threads do not end before the process does */
}

/* -- life ------------------------------------------------------------------------------------- */

static void destroy(struct op *op) {
  struct smtp_op *smtp = (struct smtp_op *)op;
  if (smtp->easy != NULL) curl_easy_cleanup(smtp->easy);
  curl_slist_free_all(smtp->to);
  if (smtp->message != NULL) explicit_bzero(smtp->message, smtp->message_len);
  free(smtp->message);
  work_close(&smtp->work);
  free(smtp);
}

static const struct op_class smtp_class = {"smtp", work_stop, destroy};

/* Once a process, in the loop's thread. What the environment could tell OpenSSL is taken out before
   it looks: SSLKEYLOGFILE would write session keys to a file. */
static bool start_libcurl(void) {
  static int state;
  if (state == 0) {
    unsetenv("SSLKEYLOGFILE");
    unsetenv("OPENSSL_CONF");
    state = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 1 : -1;
  }
  return state == 1;
}

static bool set_peer(struct smtp_op *smtp, const struct smtp_mail *mail) {
  bool six = strchr(mail->host, ':') != NULL;
  snprintf(smtp->host, sizeof smtp->host, "%s", mail->host);
  snprintf(smtp->peer, sizeof smtp->peer, six ? "[%s]:%u" : "%s:%u", smtp->host,
           (unsigned)mail->port);
  char url[sizeof smtp->peer + 16];
  snprintf(url, sizeof url, "%s://%s", mail->protection == SMTP_TLS ? "smtps" : "smtp",
           smtp->peer);
  return curl_easy_setopt(smtp->easy, CURLOPT_URL, url) == CURLE_OK;
}

static bool set_guards(CURL *easy, const struct smtp_mail *mail) {
  const char *password = mail->password != NULL ? mail->password : "";
  long use = mail->protection == SMTP_CLEAR ? CURLUSESSL_NONE : CURLUSESSL_ALL;
  return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_USE_SSL, use) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
         (mail->ca == NULL || curl_easy_setopt(easy, CURLOPT_CAINFO, mail->ca) == CURLE_OK) &&
         (mail->user == NULL ||
          (curl_easy_setopt(easy, CURLOPT_USERNAME, mail->user) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PASSWORD, password) == CURLE_OK));
}

static void set_callbacks(struct smtp_op *smtp) {
  CURL *easy = smtp->easy;
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, smtp->error);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
  curl_easy_setopt(easy, CURLOPT_READDATA, smtp);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_line);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, smtp);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, smtp);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L); /* a reused one may be dead, and send again */
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)smtp->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, smtp);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}

static bool set_mail(struct smtp_op *smtp, const struct smtp_mail *mail) {
  smtp->message = malloc(mail->message_len);
  if (smtp->message == NULL) return false;
  memcpy(smtp->message, mail->message, mail->message_len);
  smtp->message_len = mail->message_len;
  for (size_t i = 0; i < mail->to_count; i++) {
    struct curl_slist *to = curl_slist_append(smtp->to, mail->to[i]);
    if (to == NULL) return false;
    smtp->to = to;
  }
  CURL *easy = smtp->easy;
  return curl_easy_setopt(easy, CURLOPT_MAIL_FROM, mail->from) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, smtp->to) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
         curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)mail->message_len) == 0;
}

static struct op *smtp_send(const struct smtp_mail *mail) {
  struct smtp_op *smtp = calloc(1, sizeof *smtp);
  if (smtp == NULL) return NULL;
  work_open(&smtp->work, &smtp_class, run, strdup("sending a mail"));
  struct op *op = &smtp->work.op;
  const char *wrong = find_wrong(mail);
  if (wrong != NULL) {
    op_fail(op, OP_NOT_SENT, "invalid", "cannot send this mail: %s", wrong);
    return op;
  }
  smtp->timeout_ms = mail->timeout_ms != 0 ? mail->timeout_ms : SMTP_DEFAULT_TIMEOUT_MS;
  smtp->easy = start_libcurl() ? curl_easy_init() : NULL;
  if (smtp->easy == NULL || !set_peer(smtp, mail) || !set_guards(smtp->easy, mail) ||
      !set_mail(smtp, mail)) {
    op_fail(op, OP_NOT_SENT, "memory", "out of memory for a mail");
    return op;
  }
  set_callbacks(smtp);
  op_set_timeout(op, smtp->timeout_ms + GRACE_MS);
  return work_start(&smtp->work);
}

/* The one symbol of the module. */
extern const struct smtp_api opsrun_smtp_api;
const struct smtp_api opsrun_smtp_api = {smtp_send};
