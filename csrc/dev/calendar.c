/* The Gregorian calendar as a cycle of 400 years of 146097 days, counted in years that begin in March so
 * that the leap day comes last. Leap seconds are left out, as in POSIX time. */
#include "dev/calendar.h"

#define DAY 86400
#define CYCLE_DAYS 146097
#define MARCH_0000 719468 /* days from 0000-03-01 to 1970-01-01 */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

struct calendar calendar_of(int64_t seconds)
{
    int64_t days = floor_div(seconds, DAY);
    int32_t left = (int32_t)(seconds - days * DAY);
    int64_t cycle = floor_div(days + MARCH_0000, CYCLE_DAYS);
    int32_t day = (int32_t)(days + MARCH_0000 - cycle * CYCLE_DAYS);
    int32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int32_t year_day = day - (365 * year + year / 4 - year / 100);
    int32_t month = (5 * year_day + 2) / 153; /* 0 = March */

    return (struct calendar){
        .year = year + cycle * 400 + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = year_day - (153 * month + 2) / 5 + 1,
        .hour = left / 3600,
        .minute = left / 60 % 60,
        .second = left % 60,
        .weekday = (int32_t)(days + 4 - floor_div(days + 4, 7) * 7) + 1,
    };
}

int64_t calendar_seconds(const struct calendar *c)
{
    int64_t months = c->year * 12 + c->month - 3;
    int64_t year = floor_div(months, 12);
    int64_t month = months - year * 12;
    int64_t days = 365 * year + floor_div(year, 4) - floor_div(year, 100) + floor_div(year, 400);

    days += (153 * month + 2) / 5 + c->day - 1 - MARCH_0000;
    return days * DAY + c->hour * 3600ll + c->minute * 60ll + c->second;
}
