/* A just-in-time compiler in miniature, as a program for Linux without a library: writes a function, runs it,
 * writes another over it.
 *
 *   jit inplace N   one mapping that is writable and executable
 *   jit dual N      a writable and an executable mapping of one file in tmpfs: the writes come through
 * another address
 *
 * The function returns the number of its round, first directly and then from a second block behind a jump, so
 * that a block chained to a stale one shows as well. Prints "jit MODE: R of N rounds ran new code" and
 * returns 0 if R is N. */
#include <stdint.h>

enum { SYS_WRITE = 1, SYS_MMAP = 9, SYS_EXIT = 60, SYS_FTRUNCATE = 77, SYS_MEMFD_CREATE = 319 };
enum {
    READ = 1,
    WRITE = 2,
    EXEC = 4,
    SHARED = 1,
    PRIVATE = 2,
    ANONYMOUS = 0x20,
    PAGE = 4096
};

typedef uint32_t (*function)(void);

static long syscall6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static void print(const char *text)
{
    long length = 0;
    while (text[length])
        length++;
    syscall6(SYS_WRITE, 1, (long)text, length, 0, 0, 0);
}

static void print_number(uint32_t number)
{
    char digits[11], *at = digits + sizeof(digits) - 1;
    *at = 0;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    print(at);
}

static uint32_t parse(const char *digits)
{
    uint32_t number = 0;
    while (*digits >= '0' && *digits <= '9')
        number = number * 10 + (uint32_t)(*digits++ - '0');
    return number;
}

/* jmp +0x10; …; at 0x12: mov $value, %eax; ret */
static void emit(volatile uint8_t *code, uint32_t value)
{
    code[0] = 0xeb;
    code[1] = 0x10;
    code[0x12] = 0xb8;
    for (int i = 0; i < 4; i++)
        code[0x13 + i] = (uint8_t)(value >> 8 * i);
    code[0x17] = 0xc3;
}

static long map(long protection, long flags, long file)
{
    return syscall6(SYS_MMAP, 0, PAGE, protection, flags, file, 0);
}

static uint32_t rounds(volatile uint8_t *writable, function run, uint32_t count)
{
    uint32_t fresh = 0;
    for (uint32_t i = 0; i < count; i++) {
        emit(writable, i);
        fresh += run() == i;
    }
    return fresh;
}

static int jit(int dual, const char *mode, uint32_t count)
{
    long file = -1, writable, executable;
    if (dual) {
        file = syscall6(SYS_MEMFD_CREATE, (long)"jit", 0, 0, 0, 0, 0);
        syscall6(SYS_FTRUNCATE, file, PAGE, 0, 0, 0, 0);
        writable = map(READ | WRITE, SHARED, file);
        executable = map(READ | EXEC, SHARED, file);
    } else {
        writable = executable = map(READ | WRITE | EXEC, PRIVATE | ANONYMOUS, file);
    }
    if (writable < 0 || executable < 0)
        return 2;
    uint32_t fresh = rounds((volatile uint8_t *)writable, (function)executable, count);
    print("jit ");
    print(mode);
    print(": ");
    print_number(fresh);
    print(" of ");
    print_number(count);
    print(" rounds ran new code\n");
    return fresh != count;
}

__attribute__((used)) static void begin(long *stack)
{
    char **arguments = (char **)(stack + 1);
    int code = stack[0] == 3 ? jit(arguments[1][0] == 'd', arguments[1], parse(arguments[2])) : 2;
    syscall6(SYS_EXIT, code, 0, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start: mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
