/* Seconds since 1970 and the proleptic Gregorian calendar, for the clock chip. */
#ifndef VMK_DEV_CALENDAR_H
#define VMK_DEV_CALENDAR_H

#include <stdint.h>

struct calendar {
    int64_t year;
    int32_t month, day;           /* from 1 */
    int32_t hour, minute, second; /* 24 hours */
    int32_t weekday;              /* 1 = Sunday */
};

struct calendar calendar_of(int64_t seconds);

/* Fields out of range carry over: 30 February is 1 or 2 March. The weekday is ignored; year -9999 to 9999,
 * others |x| < 1000. */
int64_t calendar_seconds(const struct calendar *c);

#endif
