/* clock.c - the two clocks, and RFC 3339 text.
 *
 * The calendar is computed here instead of by gmtime_r and timegm: glibc takes a lock in both, and
 * they normalise what RFC 3339 refuses (30 February). Days are counted in years that begin in
 * March, so that the leap day is the last of its year.
 */
#include "lib/clock.h"

#include <string.h>
#include <time.h>

#include "lib/err.h"

#define US_PER_S INT64_C(1000000)
#define S_PER_DAY INT64_C(86400)
#define WALL_US_END (INT64_C(253402300800) * US_PER_S) /* 10000-01-01T00:00:00Z */

enum { DAYS_PER_ERA = 146097 /* 400 years */, DAYS_TO_1970 = 719468 /* from 0000-03-01 */ };

static int64_t read_us(clockid_t id)
{
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

/* ---- calendar ---- */

typedef struct date {
    unsigned year, month, day;
} date_t;

static int64_t days_of_date(date_t date)
{
    unsigned year = date.month <= 2 ? date.year - 1 : date.year;
    unsigned month_from_march = (date.month + 9) % 12;
    unsigned day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    return (int64_t)year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - DAYS_TO_1970;
}

static date_t date_of_days(int64_t days_since_1970)
{
    unsigned days = (unsigned)(days_since_1970 + DAYS_TO_1970);
    unsigned day_of_era = days % DAYS_PER_ERA;
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month_from_march = (5 * day_of_year + 2) / 153;
    unsigned month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return (date_t){
        .year = year_of_era + days / DAYS_PER_ERA * 400 + (month <= 2),
        .month = month,
        .day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
    };
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

/* ---- text ---- */

static char *put_digits(char *at, unsigned value, unsigned count)
{
    for (unsigned i = count; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + count;
}

const char *rfc3339_format(int64_t wall_us, char text[RFC3339_SIZE])
{
    if (wall_us < 0)
        wall_us = 0;
    if (wall_us >= WALL_US_END)
        wall_us = WALL_US_END - 1;
    unsigned micros = (unsigned)(wall_us % US_PER_S);
    int64_t seconds = wall_us / US_PER_S;
    unsigned second_of_day = (unsigned)(seconds % S_PER_DAY);
    date_t date = date_of_days(seconds / S_PER_DAY);

    char *at = put_digits(text, date.year, 4);
    *at++ = '-';
    at = put_digits(at, date.month, 2);
    *at++ = '-';
    at = put_digits(at, date.day, 2);
    *at++ = 'T';
    at = put_digits(at, second_of_day / 3600, 2);
    *at++ = ':';
    at = put_digits(at, second_of_day / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, second_of_day % 60, 2);
    if (micros != 0) {
        *at++ = '.';
        at = micros % 1000 == 0 ? put_digits(at, micros / 1000, 3) : put_digits(at, micros, 6);
    }
    *at++ = 'Z';
    *at = '\0';
    return text;
}

/* Exactly `count` digits at *at, which moves past them; false otherwise. */
static bool take_digits(const char **at, unsigned count, unsigned *value)
{
    *value = 0;
    for (unsigned i = 0; i < count; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        *value = *value * 10 + (unsigned)(**at - '0');
    }
    return true;
}

static bool take_char(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    ++*at;
    return true;
}

/* ".123" or nothing; digits past the sixth are cut off. */
static bool take_fraction(const char **at, unsigned *micros)
{
    *micros = 0;
    if (!take_char(at, '.'))
        return true;
    unsigned digits = 0;
    for (; **at >= '0' && **at <= '9'; ++*at, digits++)
        if (digits < 6)
            *micros = *micros * 10 + (unsigned)(**at - '0');
    for (unsigned i = digits; i < 6; i++)
        *micros *= 10;
    return digits > 0;
}

/* "Z" or "+05:30", as seconds east of UTC. */
static bool take_offset(const char **at, int64_t *offset_s)
{
    *offset_s = 0;
    if (take_char(at, 'Z') || take_char(at, 'z'))
        return true;
    bool east = **at == '+';
    unsigned hours, minutes;
    if (!take_char(at, '+') && !take_char(at, '-'))
        return false;
    if (!take_digits(at, 2, &hours) || !take_char(at, ':') || !take_digits(at, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *offset_s = ((int64_t)hours * 3600 + (int64_t)minutes * 60) * (east ? 1 : -1);
    return true;
}

bool rfc3339_parse(const char *text, int64_t *wall_us)
{
    const char *at = text;
    date_t date;
    unsigned hour, minute, second, micros;
    int64_t offset_s;
    if (!take_digits(&at, 4, &date.year) || !take_char(&at, '-') ||
        !take_digits(&at, 2, &date.month) || !take_char(&at, '-') ||
        !take_digits(&at, 2, &date.day) || !(take_char(&at, 'T') || take_char(&at, 't')) ||
        !take_digits(&at, 2, &hour) || !take_char(&at, ':') || !take_digits(&at, 2, &minute) ||
        !take_char(&at, ':') || !take_digits(&at, 2, &second) || !take_fraction(&at, &micros) ||
        !take_offset(&at, &offset_s) || *at != '\0')
        return false;
    /* Second 60 is a leap second; it counts as the second after it, as in POSIX time. */
    if (date.year < 1 || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > days_in_month(date.year, date.month) || hour > 23 || minute > 59 || second > 60)
        return false;
    int64_t seconds = days_of_date(date) * S_PER_DAY + (int64_t)hour * 3600 + (int64_t)minute * 60 +
                      second - offset_s;
    int64_t result = seconds * US_PER_S + micros;
    if (result < 0 || result >= WALL_US_END)
        return false;
    *wall_us = result;
    return true;
}
