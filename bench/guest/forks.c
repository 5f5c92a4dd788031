/* Forks N children that exit at once and waits for each, between two lines: the fork/wait benchmark of Adams
 * and Agesen, in the smallest process there is. Static; the only argument is N. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Straight to the console, whole lines: what is between them is forks and nothing else. */
static void say(const char *line, size_t length)
{
    if (write(STDOUT_FILENO, line, length) != (ssize_t)length)
        exit(1);
}

static void forks(long count)
{
    for (long i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        if (child < 0 || waitpid(child, NULL, 0) != child)
            exit(1);
    }
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 0;
    forks(count / 10 + 1);
    say("FORKS begin\n", 12);
    forks(count);
    say("FORKS end\n", 10);
    return 0;
}
