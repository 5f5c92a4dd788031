/* Proves the scanner under ASan and UBSan: no byte beyond those given is read, whatever they are; sites
 * are found again, counted and limited; wrong calls are refused with a reason. argv[1]: how many random
 * blocks. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sbe/enter.h"
#include "vmk_sbe.h"
#include "vmk_sbe_table.h"

static struct sbe_scan out;

static struct sbe *scanner(enum sbe_profile profile, uint32_t max_sites)
{
    return sbe_create(&(struct sbe_config){.profile = profile, .max_sites = max_sites});
}

static uint64_t random64(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void site_is_found_again(void)
{
    static const uint8_t rdmsr[] = {0x0f, 0x32};
    struct sbe *sbe = scanner(SBE_ADAPTIVE, 0);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, 0x1000, rdmsr, sizeof(rdmsr), &out), 0);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, 0x2000, rdmsr, sizeof(rdmsr), &out), 0);
    CHECK_EQ(out.patch[0].site, 1);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, 0x1000, rdmsr, sizeof(rdmsr), &out), 0);
    CHECK_EQ(out.patch[0].site, 0);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_32, 0, 0x1000, rdmsr, sizeof(rdmsr), &out), 0);
    CHECK_EQ(out.patch[0].site, 2);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 3, 0x1000, rdmsr, sizeof(rdmsr), &out), 0);
    CHECK_EQ(out.patch[0].site, 3);
    CHECK(sbe_enter(sbe_sites_of(sbe), 3) == sbe_site(sbe, 3));
    sbe_enter(sbe_sites_of(sbe), 3);
    CHECK_EQ(sbe_site(sbe, 3)->hits, 2);
    CHECK(!sbe_site(sbe, 4));
    sbe_destroy(sbe);
}

static void sites_grow_and_stay_where_they_are(void)
{
    static const uint8_t cpuid[] = {0x0f, 0xa2};
    enum { MANY = 20000 };
    struct sbe *sbe = scanner(SBE_ADAPTIVE, 0);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, 0, cpuid, sizeof(cpuid), &out), 0);
    const struct sbe_site *first = sbe_site(sbe, 0);
    for (uint64_t pc = 0; pc < MANY; pc++)
        CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, pc, cpuid, sizeof(cpuid), &out), 0);
    CHECK_EQ(sbe_site_count(sbe), MANY);
    CHECK(first == sbe_site(sbe, 0));
    for (uint32_t n = 0; n < MANY; n += 97)
        CHECK_EQ(sbe_site(sbe, n)->pc, n);
    sbe_destroy(sbe);
}

static void full_table_is_refused_and_starts_anew(void)
{
    static const uint8_t cpuid[] = {0x0f, 0xa2};
    struct sbe *sbe = scanner(SBE_ADAPTIVE, 3);
    for (uint64_t pc = 0; pc < 3; pc++)
        CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, pc, cpuid, sizeof(cpuid), &out), 0);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, 3, cpuid, sizeof(cpuid), &out), -ENOSPC);
    CHECK(strstr(sbe_error(sbe), "limit") != NULL);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, 2, cpuid, sizeof(cpuid), &out), 0);
    sbe_forget_sites(sbe);
    CHECK_EQ(sbe_site_count(sbe), 0);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, 3, cpuid, sizeof(cpuid), &out), 0);
    CHECK_EQ(sbe_site(sbe, 0)->pc, 3);
    CHECK_EQ(sbe_site(sbe, 0)->hits, 0);
    sbe_destroy(sbe);
}

static void wrong_calls_are_refused(void)
{
    static const uint8_t nops[] = {0x90, 0x90, 0xc3};
    struct sbe *sbe = scanner(SBE_FULL, 0);
    CHECK(!sbe_create(&(struct sbe_config){.profile = SBE_PROFILE_COUNT}));
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_COUNT, 0, 0, nops, 3, &out), -EINVAL);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 4, 0, nops, 3, &out), -EINVAL);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, 0, nops, 0, &out), -EINVAL);
    CHECK_EQ(sbe_scan(sbe, SBE_MODE_64, 0, 0, nops, 3, &out), 0);
    CHECK_EQ(sbe_scan_more(sbe, nops, 0, &out), -EINVAL);
    CHECK_EQ(sbe_set_policy(sbe, SBE_INSN_COUNT, SBE_TRAP), -EINVAL);
    CHECK_EQ(sbe_set_policy(sbe, SBE_INSN_LAR, SBE_TRAP), -EPERM);
    CHECK_EQ(sbe_set_policy(sbe, SBE_INSN_WBINVD, SBE_INLINE), -ENODATA);
    CHECK_EQ(sbe_set_inline(sbe, SBE_INSN_RDMSR, SBE_MODE_64, nops, 1), -EPERM);
    CHECK_EQ(sbe_set_inline(sbe, SBE_INSN_WBINVD, SBE_MODE_64, nops, 2), -EINVAL);
    CHECK_EQ(sbe_set_inline(sbe, SBE_INSN_WBINVD, SBE_MODE_64, nops + 2, 1), -EINVAL);
    CHECK_EQ(sbe_set_inline(sbe, SBE_INSN_WBINVD, SBE_MODE_64, nops, 1), 0);
    CHECK_EQ(sbe_set_policy(sbe, SBE_INSN_WBINVD, SBE_INLINE), 0);
    sbe_destroy(sbe);
}

static void table_face_has_ends(void)
{
    struct vmk_sbe_insn_info insn;
    struct vmk_sbe_form_info form;
    unsigned len;
    CHECK_EQ(vmk_sbe_insn(vmk_sbe_insn_count(), &insn), -1);
    CHECK_EQ(vmk_sbe_form(vmk_sbe_form_count(), &form), -1);
    CHECK(!vmk_sbe_class_name(vmk_sbe_class_count()));
    CHECK(!vmk_sbe_class_text(vmk_sbe_class_count()));
    CHECK_EQ(vmk_sbe_identify(SBE_MODE_COUNT, (const uint8_t *)"\xf4", 1, &len), -1);
    CHECK_EQ(vmk_sbe_identify(SBE_MODE_64, (const uint8_t *)"\xf4", 0, &len), -1);
    CHECK_EQ(vmk_sbe_identify(SBE_MODE_64, (const uint8_t *)"\xf4", 1, &len), SBE_INSN_HLT);
}

/* Bytes that make system instructions likely. */
static void soup(uint8_t *code, size_t n, uint64_t *state)
{
    static const uint8_t spice[] = {0x0f, 0x0f, 0x0f, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x48, 0x41, 0x01, 0x00,
                                    0x20, 0x22, 0x30, 0x31, 0x32, 0xa2, 0xc7, 0xae, 0xfa, 0xfb, 0xf4, 0xee,
                                    0xe4, 0x9c, 0x9d, 0xcf, 0x90, 0xc0, 0xd1, 0xf9, 0xc4, 0xc5, 0x62, 0x2e};
    for (size_t i = 0; i < n; i++) {
        uint64_t r = random64(state);
        code[i] = r & 1 ? spice[(r >> 8) % sizeof(spice)] : (uint8_t)(r >> 16);
    }
}

static void check_patches(const struct sbe *sbe, const uint8_t *code, uint64_t pc)
{
    uint64_t behind = pc;
    for (unsigned i = 0; i < out.n; i++) {
        const struct sbe_patch *patch = &out.patch[i];
        const struct sbe_site *site = sbe_site(sbe, patch->site);
        CHECK(patch->pc >= behind && site && site->pc == patch->pc && site->len == patch->len);
        CHECK(!memcmp(site->bytes, code + (patch->pc - pc), patch->len));
        CHECK(!memcmp(site->replacement, patch->bytes, patch->len));
        behind = patch->pc + patch->len;
    }
    CHECK(behind <= out.end || out.truncated);
}

/* A translator that wants every byte: each call gets a block of memory of its own, so that ASan sees
 * overreads. */
static void scan_all(struct sbe *sbe, enum sbe_mode mode, unsigned cpl, const uint8_t *code, size_t n)
{
    const uint64_t pc = 0xffffffff81000000;
    size_t first = 1 + n / 2;
    uint8_t *copy = malloc(first);
    memcpy(copy, code, first);
    CHECK_EQ(sbe_scan(sbe, mode, cpl, pc, copy, first, &out), 0);
    free(copy);
    for (unsigned calls = 0; out.end < pc + n && calls < 2 * n; calls++) {
        uint64_t end = out.end;
        size_t at = out.resume - pc, size = n - at;
        copy = malloc(size);
        memcpy(copy, code + at, size);
        int result = sbe_scan_more(sbe, copy, size, &out);
        free(copy);
        if (result == -EILSEQ || out.truncated)
            break;
        CHECK_EQ(result, 0);
        CHECK(out.end > end && out.end <= pc + n && out.resume <= out.end);
    }
    check_patches(sbe, code, pc);
}

static void random_code_is_scanned_safely(unsigned blocks)
{
    struct sbe *sbe[] = {scanner(SBE_FULL, 0), scanner(SBE_ADAPTIVE, 0), scanner(SBE_OFF, 0)};
    uint64_t state = 0x9e3779b97f4a7c15;
    uint8_t code[300];
    for (unsigned i = 0; i < blocks; i++) {
        uint64_t r = random64(&state);
        size_t n = 2 + (r >> 8) % (sizeof(code) - 2);
        soup(code, n, &state);
        scan_all(sbe[i % 3], (enum sbe_mode)(r % SBE_MODE_COUNT), (unsigned)(r >> 40 & 3), code, n);
        if (i % 4096 == 0)
            sbe_forget_sites(sbe[i % 3]);
    }
    for (unsigned i = 0; i < 3; i++)
        sbe_destroy(sbe[i]);
}

int main(int argc, char **argv)
{
    RUN(site_is_found_again);
    RUN(sites_grow_and_stay_where_they_are);
    RUN(full_table_is_refused_and_starts_anew);
    RUN(wrong_calls_are_refused);
    RUN(table_face_has_ends);
    check_test = "random_code_is_scanned_safely";
    random_code_is_scanned_safely(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3000);
    return check_done();
}
