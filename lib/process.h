/* process.h - what every long-running process of ours has in its configuration, and its start: log,
 * instance name, crash point, scheduling, cores. */
#ifndef TIFFIN_LIB_PROCESS_H
#define TIFFIN_LIB_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/config.h"

/* Embedded in the process' own configuration struct. */
typedef struct process_settings {
    const char *tiffin_env;
    const char *log_level;
    const char *crash_at;
    bool sched_batch;
    bool core_dumps;
} process_settings_t;

/* Entries for the process' config table; `member` is the process_settings_t inside `type`. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a member name takes no parentheses */
#define PROCESS_SETTINGS(type, member)                                                             \
    CONFIG_TEXT("TIFFIN_ENV", type, member.tiffin_env, "prod", 0,                                  \
                "dev or prod; dev takes development secrets, the prototype's body signature, and " \
                "runs without API keys"),                                                          \
        CONFIG_TEXT("LOG_LEVEL", type, member.log_level, "info", 0,                                \
                    "least level that is logged: debug, info, warn, error"),                       \
        CONFIG_BOOL("SCHED_BATCH", type, member.sched_batch, true, 0,                              \
                    "Linux' SCHED_BATCH: a thread that is woken does not push aside the one that " \
                    "woke it, so that batches "                                                    \
                    "grow and fewer switches are made (sched(7)); 0: the usual SCHED_OTHER"),      \
        CONFIG_BOOL("CORE_DUMPS", type, member.core_dumps, false, 0,                               \
                    "whether a crash may leave a core, and other processes of the same user may "  \
                    "look into this one "                                                          \
                    "(PR_SET_DUMPABLE, prctl(2)): its memory holds every secret; in dev always"),  \
        CONFIG_TEXT("TIFFIN_CRASH_AT", type, member.crash_at, NULL, 0,                             \
                    "dev only, for crash tests: <point>[:<n>] kills the process when it passes "   \
                    "that point of "                                                               \
                    "lib/crash_point.h for the n-th time")
/* NOLINTEND(bugprone-macro-parentheses) */

/* Checks the settings (a bad one is refused: exit 78), starts logging, arms the crash point, sets
 * the scheduling policy, which the threads that are made later inherit; outside dev it forbids
 * cores unless they are wanted. Returns whether TIFFIN_ENV is dev. `instance` is
 * config_instance()'s. */
bool process_start(const char *service, const process_settings_t *settings, const char **instance);
/* When process_start was called, in microseconds since 1970; 0 before. */
int64_t process_started_us(void);

#endif
