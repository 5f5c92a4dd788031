/* Counts and prints the cases of a self-checking guest; see report.h. */
#include "report.h"

#include "cmdline.h"
#include "exit.h"
#include "serial.h"

static unsigned passed, failed;

void expect2(const char *group, const char *name, uint64_t got, uint64_t want)
{
    print(got == want ? "ok " : "FAIL ");
    print(group);
    if (*group && *name)
        print_char(' ');
    print(name);
    if (got != want) {
        print(": got ");
        print_hex(got);
        print(" want ");
        print_hex(want);
    }
    print_char('\n');
    *(got == want ? &passed : &failed) += 1;
}

void expect(const char *name, uint64_t got, uint64_t want)
{
    expect2("", name, got, want);
}

bool quirks_accepted(void)
{
    return cmdline_has("quirks=tcg");
}

void expect_or_quirk(const char *group, const char *name, uint64_t got, uint64_t want, uint64_t tcg)
{
    expect2(group, name, got, got == tcg && quirks_accepted() ? tcg : want);
}

void done(void)
{
    print("DONE ");
    print_decimal(passed);
    print(" passed, ");
    print_decimal(failed);
    print(" failed\n");
    debug_exit(passed && !failed ? EXIT_PASSED : EXIT_FAILED);
}
