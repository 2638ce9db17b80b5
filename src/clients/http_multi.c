/* Watching libcurl's sockets and its one timer with libuv. libcurl says which sockets it cares for
 * (on_watch) and when it wants to be woken (on_timer); we tell it what happened. */
#include "http_multi.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "../loop/loop.h"

#define KEPT_CONNECTIONS 64L

struct http_pool {
  CURLM *multi;
  char *ca; /* NULL: the system's bundle */
  http_done done;
  uv_timer_t timer;
  struct http_pool *next;
};

/* One watched socket. */
struct watch {
  uv_poll_t poll;
  curl_socket_t fd;
  struct http_pool *pool;
};

static struct http_pool *pools;

/* Hands ended transfers over. The message is gone after the handle was removed: copy first. */
static void collect(struct http_pool *pool) {
  int left = 0;
  CURLMsg *message = NULL;
  while ((message = curl_multi_info_read(pool->multi, &left)) != NULL) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL *easy = message->easy_handle;
    CURLcode result = message->data.result;
    curl_multi_remove_handle(pool->multi, easy);
    pool->done(easy, result);
  }
}

static void on_socket(uv_poll_t *poll, int status, int events) {
  struct watch *watch = poll->data;
  struct http_pool *pool = watch->pool; /* the watch may be gone after socket_action */
  int flags = 0;
  if (status < 0) flags = CURL_CSELECT_ERR;
  if (events & UV_READABLE) flags |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE) flags |= CURL_CSELECT_OUT;
  int running = 0;
  curl_multi_socket_action(pool->multi, watch->fd, flags, &running);
  collect(pool);
}

static void on_deadline(uv_timer_t *timer) {
  struct http_pool *pool = timer->data;
  int running = 0;
  curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  collect(pool);
}

static int on_timer(CURLM *multi, long timeout_ms, void *data) {
  (void)multi;
  struct http_pool *pool = data;
  if (timeout_ms < 0) return uv_timer_stop(&pool->timer);
  uv_update_time(loop_uv());
  return uv_timer_start(&pool->timer, on_deadline, (uint64_t)timeout_ms, 0);
}

static void free_watch(uv_handle_t *handle) { free(handle->data); }

static struct watch *new_watch(struct http_pool *pool, curl_socket_t fd) {
  struct watch *watch = malloc(sizeof *watch);
  if (watch == NULL) return NULL;
  watch->fd = fd;
  watch->pool = pool;
  if (uv_poll_init_socket(loop_uv(), &watch->poll, fd) != 0) {
    free(watch);
    return NULL;
  }
  watch->poll.data = watch;
  curl_multi_assign(pool->multi, fd, watch);
  return watch;
}

static int on_watch(CURL *easy, curl_socket_t fd, int what, void *data, void *of_socket) {
  (void)easy;
  struct http_pool *pool = data;
  struct watch *watch = of_socket;
  if (what == CURL_POLL_REMOVE) {
    if (watch == NULL) return 0;
    curl_multi_assign(pool->multi, fd, NULL);
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, free_watch);
    return 0;
  }
  if (watch == NULL) watch = new_watch(pool, fd);
  if (watch == NULL) return -1;
  int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  return uv_poll_start(&watch->poll, events, on_socket) == 0 ? 0 : -1;
}

/* Once a process. What the environment could tell libcurl or OpenSSL is taken out before they look:
   SSLKEYLOGFILE would write session keys to a file. Proxies and netrc are off a request. */
static bool start_libcurl(void) {
  static int state;
  if (state == 0) {
    unsetenv("SSLKEYLOGFILE");
    unsetenv("OPENSSL_CONF");
    state = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 1 : -1;
  }
  return state == 1;
}

static struct http_pool *new_pool(const char *ca, http_done done) {
  struct http_pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL) return NULL;
  pool->ca = ca != NULL ? strdup(ca) : NULL;
  pool->multi = curl_multi_init();
  pool->done = done;
  if ((ca != NULL && pool->ca == NULL) || pool->multi == NULL ||
      uv_timer_init(loop_uv(), &pool->timer) != 0) {
    if (pool->multi != NULL) curl_multi_cleanup(pool->multi);
    free(pool->ca);
    free(pool);
    return NULL;
  }
  pool->timer.data = pool;
  curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
  curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
  curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
  curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
  pool->next = pools;
  pools = pool;
  return pool;
}

struct http_pool *http_pool_get(const char *ca, http_done done) {
  for (struct http_pool *pool = pools; pool != NULL; pool = pool->next)
    if (ca == NULL ? pool->ca == NULL : pool->ca != NULL && strcmp(pool->ca, ca) == 0) return pool;
  if (!start_libcurl()) return NULL;
  return new_pool(ca, done);
}

int http_pool_add(struct http_pool *pool, CURL *easy) {
  return curl_multi_add_handle(pool->multi, easy) == CURLM_OK ? 0 : -1;
}

void http_pool_remove(struct http_pool *pool, CURL *easy) {
  curl_multi_remove_handle(pool->multi, easy);
}
