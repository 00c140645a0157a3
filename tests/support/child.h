/* child.h - a process of ours as a test's child: its environment is what the test says, it dies
 * with the test. */
#ifndef TIFFIN_TESTS_CHILD_H
#define TIFFIN_TESTS_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"

/* Starts the program at `path` with `environment` ("NAME=value", NULL-terminated) and nothing else.
 */
static inline pid_t child_start(const char *path, char *const environment[])
{
    char program[512];
    snprintf(program, sizeof program, "%s", path);
    char *const argv[] = {program, NULL};
    const pid_t parent = getpid();
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        execve(path, argv, environment);
    _exit(127);
}

/* True when it has ended; *exit_code as a shell gives it (128 + signal when it was killed). */
static inline bool child_ended(pid_t pid, int *exit_code)
{
    int status;
    const pid_t waited = waitpid(pid, &status, WNOHANG);
    if (waited != pid)
        return false;
    *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

/* kill -9, and gone when it returns. */
static inline void child_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

#endif
