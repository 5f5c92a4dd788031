/* The compiler of direct execution on what no test chose: bytes of any kind, in memory that ends with them.
 *
 *      test_direct             decodes and compiles random code; ASan and UBSan watch
 *      test_direct lengths     for each line of hex bytes on stdin, prints how many of them the first
 *                              instruction has, or 0 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "direct/find.h"

#define ROUNDS 60000
#define PAGE 4096

static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

/* Opcodes that are known turn up more often than chance has it. */
static uint8_t random_byte(void)
{
    static const uint8_t likely[] = {0x48, 0x66, 0x0f, 0x01, 0x83, 0x8b, 0x89, 0xc1, 0xf7, 0xff, 0xeb, 0x75};
    uint64_t r = random64();
    return r & 0x100 ? (uint8_t)r : likely[(r >> 16) % sizeof(likely)];
}

static void decodes_within_its_bytes(void)
{
    unsigned decoded = 0;
    for (unsigned n = 0; n < ROUNDS; n++) {
        size_t room = random64() % 20;
        uint8_t *code = malloc(room ? room : 1);
        struct insn i;
        for (size_t k = 0; k < room; k++)
            code[k] = random_byte();
        if (insn_decode(code, room, random64(), &i)) {
            decoded++;
            CHECK(i.len && i.len <= 15 && i.len <= room);
        }
        free(code);
    }
    CHECK(decoded > ROUNDS / 20);
}

/* Every address is a block of the engine's here, and every jump is linked. Its description is its address. */
static uint8_t page[PAGE];

static bool any_block(const void *block, uint64_t pc, unsigned bytes, unsigned insns)
{
    (void)bytes;
    return block == page + pc % PAGE && insns < 200;
}

static const void *linked(const void *block, unsigned jump)
{
    struct insn i;
    uint64_t at = (uint64_t)((const uint8_t *)block - page);
    do {
        if (!insn_decode(page + at, PAGE - at, at, &i))
            return NULL;
        at += i.len;
    } while (!(i.bits & FORM_END) && at < PAGE);
    uint64_t to = jump == (i.op == OP_JCC) ? i.target : at;
    return to < PAGE ? page + to : NULL;
}

static const void *no_jump(const void *block, unsigned jump)
{
    (void)block;
    return jump ? page : NULL;
}

/* A random instruction that runs directly and is not a jump. */
static unsigned put_insn(uint8_t *at)
{
    struct insn i;
    do {
        for (unsigned k = 0; k < 15; k++)
            at[k] = random_byte();
    } while (!insn_decode(at, 15, 0, &i) || i.bits & FORM_END);
    return i.len;
}

/* Instructions, and jumps back to where one of the last of them begins. */
static void fill_with_loops(void)
{
    unsigned begins[16] = {0}, n = 0, at = 0;
    while (at < PAGE - 32) {
        begins[n++ % 16] = at;
        if (random64() % 8) {
            at += put_insn(page + at);
            continue;
        }
        int8_t back = (int8_t)(begins[random64() % 16] - (at + 2));
        page[at++] = 0x70 | (random64() & 15);
        page[at++] = (uint8_t)(back < 0 ? back : -2);
    }
    memset(page + at, 0x90, PAGE - at);
}

static void compiles_whatever_it_finds(void)
{
    static struct insn insn[DIRECT_INSNS];
    struct direct_code code = {0, page, any_block, linked, no_jump};
    struct direct_host host = {.tlb_entries = 2048, .tlb_shift = 6};
    size_t size = 1 << 16;
    uint8_t *room = malloc(size);
    unsigned compiled = 0, refused = 0;
    for (unsigned n = 0; n < ROUNDS / 2; n++) {
        struct direct_loop *l = calloc(1, sizeof(*l));
        struct direct_data data;
        uint64_t pc = random64() % PAGE;
        if (n % 256 == 0)
            fill_with_loops();
        l->data = &data;
        /* Most rooms suffice; some end in the middle. */
        size_t given = n % 3 ? size : random64() % 3000;
        struct direct_room r = {room + size - given, room + size};
        if (direct_find(&code, page + pc, pc, l, insn)) {
            bool fits = direct_compile(l, insn, &host, &r);
            compiled += fits;
            refused += !fits;
            CHECK(r.write <= r.end);
        }
        free(l->access);
        free(l);
    }
    free(room);
    CHECK(compiled > 500);
    CHECK(refused > 20);
}

static int print_lengths(void)
{
    char line[64];
    while (fgets(line, sizeof(line), stdin)) {
        uint8_t code[16];
        size_t n = 0;
        struct insn i;
        unsigned value;
        for (const char *p = line; n < sizeof(code) && sscanf(p, "%2x", &value) == 1; p += 2)
            code[n++] = (uint8_t)value;
        printf("%u\n", insn_decode(code, n, 0x1000, &i) ? i.len : 0u);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "lengths"))
        return print_lengths();
    RUN(decodes_within_its_bytes);
    RUN(compiles_whatever_it_finds);
    return check_done();
}
