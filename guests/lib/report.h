/* One line per case, a total at the end: how a self-checking guest tells its result. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Print `ok name`, or `FAIL name: got … want …` when the two differ. */
void expect(const char *name, uint64_t got, uint64_t want);
/* The same for a case named in two parts, such as a table's title and its row. */
void expect2(const char *group, const char *name, uint64_t got, uint64_t want);
/*
 * Where QEMU's TCG, or an engine made of it, is known to be wrong: with `quirks=tcg` on the command line its
 * answer `tcg` is accepted as well as the architecture's.
 */
void expect_or_quirk(const char *group, const char *name, uint64_t got, uint64_t want, uint64_t tcg);
bool quirks_accepted(void);
/* Print the total and end the machine: debug exit 0x10 when every case passed, 0x11 otherwise. */
_Noreturn void done(void);
