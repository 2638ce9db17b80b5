/* strerror without its capital. */
#include "errtext.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *error_text(int number) {
  static char text[128];
  char room[128];
  const char *found = strerror_r(number, room, sizeof room);
  snprintf(text, sizeof text, "%s", found);
  /* "Input/output error" becomes lower case, "RPC struct is bad" stays. */
  if (isupper((unsigned char)text[0]) && !isupper((unsigned char)text[1]))
    text[0] = (char)tolower((unsigned char)text[0]);
  return text;
}
