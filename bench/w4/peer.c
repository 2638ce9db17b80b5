/* curl's multi interface, 50 transfers at a time, connections kept. */
#include <curl/curl.h>

#include "peer.h"

enum { WIDTH = 50 };

static struct body bodies[WIDTH];
static CURL *handles[WIDTH];
static int next, total;

static void begin(CURLM *multi, int slot) {
  char url[512];
  snprintf(url, sizeof url, "%s/services/%d/health", variable("BENCH_CHECKS_URL"), ++next);
  bodies[slot].length = 0;
  curl_easy_setopt(handles[slot], CURLOPT_URL, url);
  curl_easy_setopt(handles[slot], CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(handles[slot], CURLOPT_WRITEDATA, &bodies[slot]);
  curl_easy_setopt(handles[slot], CURLOPT_PRIVATE, (char *)(size_t)slot);
  curl_easy_setopt(handles[slot], CURLOPT_TIMEOUT, 10L);
  curl_multi_add_handle(multi, handles[slot]);
}

int main(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURLM *multi = curl_multi_init();
  total = atoi(variable("BENCH_CHECKS"));
  int running = 0, healthy = 0, done = 0;
  for (int slot = 0; slot < WIDTH && next < total; slot++) {
    handles[slot] = curl_easy_init();
    begin(multi, slot);
  }
  while (done < total) {
    curl_multi_perform(multi, &running);
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left)) != NULL;) {
      char *slot_as_text;
      long status = 0;
      CURL *handle = message->easy_handle;
      if (message->data.result != CURLE_OK) die("GET");
      curl_easy_getinfo(handle, CURLINFO_PRIVATE, &slot_as_text);
      curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
      int slot = (int)(size_t)slot_as_text;
      healthy += status == 200 && strstr(bodies[slot].text, "\"status\": \"healthy\"") != NULL;
      done++;
      curl_multi_remove_handle(multi, handle);
      if (next < total) begin(multi, slot);
    }
    if (done < total) curl_multi_poll(multi, NULL, 0, 1000, NULL);
  }
  printf("answer: %d healthy\n", healthy);
  return 0;
}
