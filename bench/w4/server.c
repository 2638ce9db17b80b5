/* Answers every GET with {"status": "healthy"} after so many ms, however many ask at once: clients are
 * measured, not this.
 *
 * usage: server PORT MS, on 127.0.0.1; keeps connections open; ends by a signal. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, ROOM = 4096 };

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n{\"status\": \"healthy\"}";

/* What came of a request that is not whole yet, by descriptor. */
static struct {
  char text[ROOM];
  size_t length;
} waiting[MOST];

/* Answers that are due, oldest first: all wait equally long. One a descriptor at a time. */
static struct {
  int fd;
  long long at;
} due[MOST];
static size_t first_due, count_due;
static long long delay_ns;

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void answer_later(int fd) {
  size_t at = (first_due + count_due) % MOST;
  due[at].fd = fd;
  due[at].at = now_ns() + delay_ns;
  count_due++;
}

/* Sends what is due. A peer that is gone does not mind. */
static void answer_due(void) {
  while (count_due > 0 && due[first_due].at <= now_ns()) {
    if (write(due[first_due].fd, answer, sizeof answer - 1) < 0) shutdown(due[first_due].fd, SHUT_RDWR);
    first_due = (first_due + 1) % MOST;
    count_due--;
  }
}

static int wait_for_events(int poll, struct epoll_event *events, int most) {
  if (count_due == 0) return epoll_wait(poll, events, most, -1);
  long long left = due[first_due].at - now_ns();
  if (left < 0) left = 0;
  struct timespec within = {left / 1000000000LL, left % 1000000000LL};
  return epoll_pwait2(poll, events, most, &within, NULL);
}

static int listen_on(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1024) == 0 ? fd : -1;
}

/* Answers each whole request. Returns 0 when the peer is gone. */
static int serve(int fd) {
  size_t *length = &waiting[fd].length;
  char *text = waiting[fd].text;
  ssize_t got = read(fd, text + *length, ROOM - 1 - *length);
  if (got <= 0) return 0;
  *length += (size_t)got;
  text[*length] = '\0';
  for (char *end; (end = strstr(text, "\r\n\r\n")) != NULL;) {
    if (count_due < MOST) answer_later(fd);
    *length -= (size_t)(end + 4 - text);
    memmove(text, end + 4, *length + 1);
  }
  return *length < ROOM - 1;
}

int main(int argc, char **argv) {
  int server = argc == 3 ? listen_on(atoi(argv[1])) : -1, poll = epoll_create1(EPOLL_CLOEXEC), on = 1;
  if (server < 0 || poll < 0) return 1;
  signal(SIGPIPE, SIG_IGN);
  delay_ns = atoi(argv[2]) * 1000000LL;
  epoll_ctl(poll, EPOLL_CTL_ADD, server, &(struct epoll_event){.events = EPOLLIN, .data.fd = server});
  for (;;) {
    struct epoll_event events[256];
    int count = wait_for_events(poll, events, 256);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd != server) {
        if (!serve(fd)) close(fd);
        continue;
      }
      int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
      if (peer < 0) continue;
      if (peer >= MOST) {
        close(peer);
        continue;
      }
      setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      waiting[peer].length = 0;
      epoll_ctl(poll, EPOLL_CTL_ADD, peer, &(struct epoll_event){.events = EPOLLIN, .data.fd = peer});
    }
    answer_due();
  }
}
