/* Times as logs write them. A time without a zone of its own is the environment's local time. */
#include <string.h>

#include "logs_internal.h"

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t year, int month, int day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t of_era = year - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Local seconds to seconds since 1970. Of an hour that comes twice, the first. */
static double from_local(const struct logs_clock *clock, double local) {
  for (size_t i = 0; i < clock->zone_count; i++) {
    double epoch = local - clock->zones[i].offset;
    bool begun = i == 0 || epoch >= clock->zones[i].since;
    bool over = i + 1 < clock->zone_count && epoch >= clock->zones[i + 1].since;
    if (begun && !over) return epoch;
  }
  /* An hour that is skipped: as if the clock had not been put forward yet. */
  size_t best = 0;
  for (size_t i = 0; i < clock->zone_count; i++)
    if (local - clock->zones[i].offset >= clock->zones[i].since) best = i;
  return clock->zone_count > 0 ? local - clock->zones[best].offset : local;
}

struct cursor {
  const char *at, *end;
};

/* Exactly `count` digits. */
static bool take_digits(struct cursor *cursor, int count, int *value) {
  if (cursor->end - cursor->at < count) return false;
  int sum = 0;
  for (int i = 0; i < count; i++) {
    char c = cursor->at[i];
    if (c < '0' || c > '9') return false;
    sum = sum * 10 + (c - '0');
  }
  cursor->at += count;
  *value = sum;
  return true;
}

static bool take(struct cursor *cursor, char wanted) {
  if (cursor->at == cursor->end || *cursor->at != wanted) return false;
  cursor->at++;
  return true;
}

static bool take_month(struct cursor *cursor, int *month) {
  static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (cursor->end - cursor->at < 3) return false;
  for (int i = 0; i < 12; i++) {
    if (memcmp(cursor->at, names + 3 * i, 3) != 0) continue;
    cursor->at += 3;
    *month = i + 1;
    return true;
  }
  return false;
}

struct moment {
  int year, month, day, hour, minute, second;
  double fraction;
  bool has_offset;
  int offset; /* seconds east of UTC */
};

/* HH:MM:SS[.fraction] */
static bool take_clock(struct cursor *cursor, struct moment *m) {
  if (!take_digits(cursor, 2, &m->hour) || !take(cursor, ':') ||
      !take_digits(cursor, 2, &m->minute))
    return false;
  m->second = 0;
  m->fraction = 0;
  if (take(cursor, ':') && !take_digits(cursor, 2, &m->second)) return false;
  bool point = cursor->at < cursor->end && (*cursor->at == '.' || *cursor->at == ',');
  if (point && cursor->end - cursor->at > 1 && cursor->at[1] >= '0' && cursor->at[1] <= '9') {
    cursor->at++;
    for (double unit = 0.1; cursor->at < cursor->end; cursor->at++, unit /= 10) {
      if (*cursor->at < '0' || *cursor->at > '9') break;
      m->fraction += unit * (*cursor->at - '0');
    }
  }
  return m->hour < 24 && m->minute < 60 && m->second < 61;
}

/* Z, +HH:MM, +HHMM, +HH, UTC, GMT; else nothing is taken. */
static void take_offset(struct cursor *cursor, struct moment *m) {
  struct cursor ahead = *cursor;
  take(&ahead, ' ');
  int hours, minutes = 0;
  if (ahead.at == cursor->at && take(&ahead, 'Z')) {
    m->has_offset = true;
  } else if (ahead.end - ahead.at >= 3 &&
             (memcmp(ahead.at, "UTC", 3) == 0 || memcmp(ahead.at, "GMT", 3) == 0)) {
    ahead.at += 3;
    m->has_offset = true;
  } else if (ahead.at < ahead.end && (*ahead.at == '+' || *ahead.at == '-')) {
    int sign = *ahead.at++ == '-' ? -1 : 1;
    if (!take_digits(&ahead, 2, &hours)) return;
    take(&ahead, ':');
    take_digits(&ahead, 2, &minutes);
    m->has_offset = true;
    m->offset = sign * (hours * 3600 + minutes * 60);
  } else {
    return;
  }
  *cursor = ahead;
}

/* 2026-11-21T03:12:07.5+01:00, with a space, with slashes. */
static bool take_iso(struct cursor *cursor, struct moment *m) {
  if (!take_digits(cursor, 4, &m->year)) return false;
  char mark = cursor->at < cursor->end ? *cursor->at : '\0';
  if ((mark != '-' && mark != '/') || !take(cursor, mark) || !take_digits(cursor, 2, &m->month) ||
      !take(cursor, mark) || !take_digits(cursor, 2, &m->day))
    return false;
  if (!take(cursor, 'T') && !take(cursor, ' ')) return false;
  if (!take_clock(cursor, m)) return false;
  take_offset(cursor, m);
  return true;
}

/* 21/Nov/2026:03:12:07 +0100 */
static bool take_nginx(struct cursor *cursor, struct moment *m) {
  if (!take_digits(cursor, 2, &m->day) || !take(cursor, '/') || !take_month(cursor, &m->month) ||
      !take(cursor, '/') || !take_digits(cursor, 4, &m->year) || !take(cursor, ':') ||
      !take_clock(cursor, m))
    return false;
  take_offset(cursor, m);
  return true;
}

/* Nov  1 03:12:07 (no year), and apache's Wed Oct 11 14:32:52.1 2000. */
static bool take_syslog(struct cursor *cursor, struct moment *m) {
  struct cursor day = *cursor;
  if (day.end - day.at > 4 && day.at[3] == ' ' && !take_month(&day, &m->month))
    cursor->at += 4; /* the day of the week */
  if (!take_month(cursor, &m->month) || !take(cursor, ' ')) return false;
  bool one = take(cursor, ' ');
  if (!take_digits(cursor, one ? 1 : 2, &m->day) || !take(cursor, ' ') || !take_clock(cursor, m))
    return false;
  struct cursor year = *cursor;
  m->year = 0;
  if (take(&year, ' ') && take_digits(&year, 4, &m->year) &&
      (year.at == year.end || *year.at < '0' || *year.at > '9') && m->year > 1970)
    *cursor = year;
  else m->year = 0;
  return true;
}

/* 1234:M 21 Nov 2026 03:12:07.123 */
static bool take_redis(struct cursor *cursor, struct moment *m) {
  while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') cursor->at++;
  if (!take(cursor, ':') || cursor->end - cursor->at < 2 || cursor->at[1] != ' ') return false;
  cursor->at += 2;
  return take_digits(cursor, 2, &m->day) && take(cursor, ' ') && take_month(cursor, &m->month) &&
         take(cursor, ' ') && take_digits(cursor, 4, &m->year) && take(cursor, ' ') &&
         take_clock(cursor, m);
}

static double moment_time(const struct logs_clock *clock, const struct moment *m, int year) {
  double local = (double)days_of(year, m->month, m->day) * 86400 + m->hour * 3600 +
                 m->minute * 60 + m->second + m->fraction;
  return m->has_offset ? local - m->offset : from_local(clock, local);
}

/* Without a year: the last one in which it is not after the file's last write (and a day). */
static double finish_moment(const struct logs_clock *clock, const struct moment *m) {
  if (m->month < 1 || m->month > 12 || m->day < 1 || m->day > 31) return LOGS_NO_TIME;
  if (m->year != 0) return moment_time(clock, m, m->year);
  int year = 1970 + (int)(clock->file_mtime / 31556952.0) + 1;
  double time = moment_time(clock, m, year);
  while (time > clock->file_mtime + 86400 && year > 1970) time = moment_time(clock, m, --year);
  return time;
}

double logs_epoch_time(double value) {
  double size = fabs(value);
  if (size >= 1e17) return value / 1e9;
  if (size >= 1e14) return value / 1e6;
  if (size >= 1e11) return value / 1e3;
  return value;
}

static double take_epoch(struct cursor *cursor) {
  const char *start = cursor->at;
  double value = 0;
  while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9')
    value = value * 10 + (*cursor->at++ - '0');
  size_t digits = (size_t)(cursor->at - start);
  if (digits != 10 && digits != 13 && digits != 16 && digits != 19) return LOGS_NO_TIME;
  value = logs_epoch_time(value);
  if (digits == 10 && take(cursor, '.'))
    for (double unit = 0.1; cursor->at < cursor->end; cursor->at++, unit /= 10) {
      if (*cursor->at < '0' || *cursor->at > '9') break;
      value += unit * (*cursor->at - '0');
    }
  return value;
}

double logs_parse_time(const struct logs_clock *clock, struct span text, size_t *used) {
  static bool (*const forms[])(struct cursor *, struct moment *) = {take_iso, take_syslog,
                                                                    take_nginx, take_redis};
  struct cursor start = {text.at, text.at + text.len};
  if (take(&start, '<')) { /* <13>, syslog's priority */
    while (start.at < start.end && *start.at >= '0' && *start.at <= '9') start.at++;
    if (!take(&start, '>')) return LOGS_NO_TIME;
  }
  take(&start, '[');
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    struct cursor cursor = start;
    struct moment moment = {0};
    if (!forms[i](&cursor, &moment)) continue;
    take(&cursor, ']');
    *used = (size_t)(cursor.at - text.at);
    return finish_moment(clock, &moment);
  }
  double epoch = take_epoch(&start);
  *used = (size_t)(start.at - text.at);
  return epoch;
}
