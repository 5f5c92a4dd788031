/* The smallest test harness: CHECK and CHECK_EQ count and report, check_done() ends main(). A failed check
 * does not end its test.
 *
 *      static void counts_down(void) { CHECK_EQ(read_count(), 5); }
 *
 *      int main(void) { RUN(counts_down); return check_done(); }
 *
 * */
#ifndef VMK_TESTS_CHECK_H
#define VMK_TESTS_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static unsigned check_passed, check_failed;
static const char *check_test = "";

static inline void check_that(bool ok, const char *file, int line, const char *text)
{
    if (ok) {
        check_passed++;
        return;
    }
    check_failed++;
    printf("%s:%d: %s: %s\n", file, line, check_test, text);
}

static inline void check_equal(uint64_t got, uint64_t want, const char *file, int line, const char *text)
{
    if (got == want) {
        check_passed++;
        return;
    }
    check_failed++;
    printf("%s:%d: %s: %s is 0x%llx, not 0x%llx\n", file, line, check_test, text, (unsigned long long)got,
           (unsigned long long)want);
}

/* Exit code of the test program; a program that checked nothing has failed. */
static inline int check_done(void)
{
    printf("%u passed, %u failed\n", check_passed, check_failed);
    return check_failed || !check_passed;
}

#define CHECK(cond) check_that((cond), __FILE__, __LINE__, #cond)
#define CHECK_EQ(got, want) check_equal((uint64_t)(got), (uint64_t)(want), __FILE__, __LINE__, #got)
#define RUN(test)            \
    do {                     \
        check_test = #test;  \
        test();              \
    } while (0)

#endif
