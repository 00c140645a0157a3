/* config.h - settings from the environment: one table per process gives name, type, default, bounds and documentation;
 * --help, --version and the start-up checks derive from it.
 *
 *   static order_config_t config;   // plain struct: const char *, int64_t, bool members
 *   static const config_entry_t table[] = {
 *       CONFIG_TEXT("DATABASE_URL", order_config_t, database_url, NULL, CONFIG_REQUIRED | CONFIG_SECRET, "libpq connection string"),
 *       CONFIG_INT("ORDER_TTL_S", order_config_t, order_ttl_s, 900, 1, 86400 * 365, 0, "an unpaid order expires after this"),
 *       CONFIG_END};
 *   config_load("tiffin-order", "accepts, shows and expires orders", table, &config, argc, argv);
 */
#ifndef TIFFIN_LIB_CONFIG_H
#define TIFFIN_LIB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

typedef enum config_type { CONFIG_TYPE_TEXT, CONFIG_TYPE_INT, CONFIG_TYPE_BOOL } config_type_t;
enum { CONFIG_REQUIRED = 1, CONFIG_SECRET = 2 /* its value is never printed; NAME_FILE may name a file that holds it */ };

typedef struct config_entry {
    const char *name; /* NULL ends the table */
    size_t offset;
    const char *default_text; /* CONFIG_TYPE_TEXT; NULL: none */
    int64_t default_int;      /* CONFIG_TYPE_INT, CONFIG_TYPE_BOOL */
    int64_t min, max;         /* CONFIG_TYPE_INT */
    const char *doc;
    config_type_t type;
    unsigned flags;
} config_entry_t;

#define CONFIG_TEXT(env, type, member, fallback, flags, doc)                                       \
    {env, offsetof(type, member), fallback, 0, 0, 0, doc, CONFIG_TYPE_TEXT, flags}
#define CONFIG_INT(env, type, member, fallback, least, most, flags, doc)                           \
    {env, offsetof(type, member), NULL, fallback, least, most, doc, CONFIG_TYPE_INT, flags}
#define CONFIG_BOOL(env, type, member, fallback, flags, doc)                                       \
    {env, offsetof(type, member), NULL, fallback, 0, 1, doc, CONFIG_TYPE_BOOL, flags}
#define CONFIG_END {NULL, 0, NULL, 0, 0, 0, NULL, CONFIG_TYPE_TEXT, 0}

#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h */

/* Fills `config` from the environment (an empty variable counts as not set). Text is copied and lives as long as the process.
 * --help and --version print and exit 0; a bad value, a missing setting or an unknown argument prints one line that names it
 * and exits 78. Every NAME of the table may be given as NAME_FILE when it is flagged CONFIG_SECRET. */
void config_load(const char *program, const char *purpose, const config_entry_t *table, void *config, int argc,
                 char **argv);
/* The same without exiting, from a lookup function (tests). */
err_t config_read(const config_entry_t *table, void *config, const char *(*lookup)(const char *name, void *arg), void *arg,
                  err_detail_t *detail) MUST_CHECK;
/* Prints "config: <setting>: <reason>" and exits 78: for checks that span several settings. */
_Noreturn void config_refuse(const char *setting, const char *reason);

/* TIFFIN_ENV: true for "dev", false for "prod"; anything else is refused by config_refuse. */
bool config_is_dev(const char *tiffin_env);
/* The name of this instance: INSTANCE from the environment if set, else <service>-<host>-<pid>. Static. */
const char *config_instance(const char *service);

#endif
