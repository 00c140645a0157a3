/* config.c - settings from the environment by one table per process.
 *
 * Called by main before anything else runs. A process with a bad setting never starts: it says
 * which one and exits 78, so that a supervisor need not try again. The value of a secret is never
 * printed, nor part of an error.
 */
#include "lib/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_FILE_MAX_BYTES = 64 * 1024, NAME_MAX_BYTES = 128, INSTANCE_SIZE = 64 };

/* ---- values ---- */

/* Texts live as long as the process; the list keeps them reachable. */
typedef struct kept {
    struct kept *next;
    char text[];
} kept_t;

static kept_t *kept_texts;

static const char *keep(const char *text, size_t size)
{
    kept_t *kept = malloc(sizeof *kept + size + 1);
    if (!kept)
        return NULL;
    memcpy(kept->text, text, size);
    kept->text[size] = '\0';
    kept->next = kept_texts;
    kept_texts = kept;
    return kept->text;
}

static err_t set_text(const config_entry_t *entry, void *config, const char *text, size_t size,
                      err_detail_t *detail)
{
    const char *copy = keep(text, size);
    if (!copy)
        return err_set(detail, ERR_BAD_CONFIG, "%s: out of memory", entry->name);
    memcpy((char *)config + entry->offset, &copy, sizeof copy);
    return ERR_OK;
}

static bool parse_int(const char *text, int64_t least, int64_t most, int64_t *value)
{
    if (!isdigit((unsigned char)text[0]) && text[0] != '-')
        return false;
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || parsed < least || parsed > most)
        return false;
    *value = parsed;
    return true;
}

static bool parse_bool(const char *text, bool *value)
{
    static const struct {
        const char *text;
        bool value;
    } words[] = {{"1", true},  {"true", true},   {"yes", true}, {"on", true},
                 {"0", false}, {"false", false}, {"no", false}, {"off", false}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i].text) == 0) {
            *value = words[i].value;
            return true;
        }
    }
    return false;
}

static err_t set_value(const config_entry_t *entry, void *config, const char *text,
                       err_detail_t *detail)
{
    char *member = (char *)config + entry->offset;
    int64_t number;
    bool truth;
    switch (entry->type) {
    case CONFIG_TYPE_TEXT:
        return set_text(entry, config, text, strlen(text), detail);
    case CONFIG_TYPE_INT:
        if (!parse_int(text, entry->min, entry->max, &number))
            return err_set(detail, ERR_BAD_CONFIG,
                           "%s: must be a whole number from %" PRId64 " to %" PRId64, entry->name,
                           entry->min, entry->max);
        memcpy(member, &number, sizeof number);
        return ERR_OK;
    case CONFIG_TYPE_BOOL:
        if (!parse_bool(text, &truth))
            return err_set(detail, ERR_BAD_CONFIG, "%s: must be true or false", entry->name);
        memcpy(member, &truth, sizeof truth);
        return ERR_OK;
    }
    CHECK(entry->type <= CONFIG_TYPE_BOOL);
    return ERR_INTERNAL;
}

static err_t set_default(const config_entry_t *entry, void *config, err_detail_t *detail)
{
    char *member = (char *)config + entry->offset;
    if (entry->flags & CONFIG_REQUIRED)
        return err_set(detail, ERR_BAD_CONFIG, "%s: is required and not set", entry->name);
    if (entry->type == CONFIG_TYPE_TEXT) {
        memcpy(member, &entry->default_text, sizeof entry->default_text);
    } else if (entry->type == CONFIG_TYPE_INT) {
        memcpy(member, &entry->default_int, sizeof entry->default_int);
    } else {
        bool truth = entry->default_int != 0;
        memcpy(member, &truth, sizeof truth);
    }
    return ERR_OK;
}

/* The whole file without the newline at its end. */
static err_t set_from_file(const config_entry_t *entry, void *config, const char *path,
                           err_detail_t *detail)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return err_set(detail, ERR_BAD_CONFIG, "%s_FILE: %s: %s", entry->name, path,
                       strerror(errno));
    char *content = malloc(SECRET_FILE_MAX_BYTES + 1);
    size_t size = content ? fread(content, 1, SECRET_FILE_MAX_BYTES + 1, file) : 0;
    bool failed = !content || ferror(file);
    fclose(file);
    if (size > 0 && size <= SECRET_FILE_MAX_BYTES && content[size - 1] == '\n')
        size--;
    if (size > 0 && size < SECRET_FILE_MAX_BYTES && content[size - 1] == '\r')
        size--;

    err_t err;
    if (failed)
        err = err_set(detail, ERR_BAD_CONFIG, "%s_FILE: %s: cannot be read", entry->name, path);
    else if (size == 0)
        err = err_set(detail, ERR_BAD_CONFIG, "%s_FILE: %s: is empty", entry->name, path);
    else if (size > SECRET_FILE_MAX_BYTES || memchr(content, '\0', size))
        err = err_set(detail, ERR_BAD_CONFIG, "%s_FILE: %s: is no text of at most %d bytes",
                      entry->name, path, SECRET_FILE_MAX_BYTES);
    else
        err = set_text(entry, config, content, size, detail);
    free(content);
    return err;
}

/* An empty variable counts as not set. */
static const char *look_up(const char *(*lookup)(const char *, void *), void *arg, const char *name)
{
    const char *value = lookup(name, arg);
    return value && value[0] ? value : NULL;
}

static err_t read_entry(const config_entry_t *entry, void *config,
                        const char *(*lookup)(const char *, void *), void *arg,
                        err_detail_t *detail)
{
    const char *value = look_up(lookup, arg, entry->name);
    const char *path = NULL;
    if ((entry->flags & CONFIG_SECRET) && entry->type == CONFIG_TYPE_TEXT) {
        char file_name[NAME_MAX_BYTES];
        snprintf(file_name, sizeof file_name, "%s_FILE", entry->name);
        path = look_up(lookup, arg, file_name);
    }
    if (value && path)
        return err_set(detail, ERR_BAD_CONFIG, "%s: is set, and %s_FILE too", entry->name,
                       entry->name);
    if (value)
        return set_value(entry, config, value, detail);
    if (path)
        return set_from_file(entry, config, path, detail);
    return set_default(entry, config, detail);
}

err_t config_read(const config_entry_t *table, void *config,
                  const char *(*lookup)(const char *name, void *arg), void *arg,
                  err_detail_t *detail)
{
    for (const config_entry_t *entry = table; entry->name; entry++)
        TRY(read_entry(entry, config, lookup, arg, detail));
    return ERR_OK;
}

/* ---- command line ---- */

static void print_entry(const config_entry_t *entry)
{
    printf("  %s", entry->name);
    if (entry->flags & CONFIG_REQUIRED)
        printf(" (required)");
    else if (entry->type == CONFIG_TYPE_INT)
        printf(" (default %" PRId64 ")", entry->default_int);
    else if (entry->type == CONFIG_TYPE_BOOL)
        printf(" (default %s)", entry->default_int ? "true" : "false");
    else if (!entry->default_text)
        printf(" (no default)");
    else
        printf(" (default %s)", entry->default_text);
    printf("\n      %s", entry->doc);
    if (entry->type == CONFIG_TYPE_INT)
        printf("; %" PRId64 " to %" PRId64, entry->min, entry->max);
    if (entry->flags & CONFIG_SECRET)
        printf("; secret: %s_FILE may name a file that holds it", entry->name);
    printf("\n");
}

static void print_help(const char *program, const char *purpose, const config_entry_t *table)
{
    printf("%s - %s\n\nUsage: %s [--help | --version]\n\n"
           "Settings are environment variables; an empty one counts as not set:\n\n",
           program, purpose, program);
    for (const config_entry_t *entry = table; entry->name; entry++)
        print_entry(entry);
    printf("\nExit status:\n"
           "   0  stopped as asked, everything in hand finished\n"
           "   1  stopped, but something in hand could not be finished in time\n"
           "  %d  bad configuration; one line on standard error names the setting\n\n"
           "Signals:\n"
           "  SIGTERM, SIGINT  take nothing new, finish what is in hand, exit\n"
           "  a second one     exit at once\n",
           EXIT_CONFIG);
}

static const char *environment(const char *name, void *arg)
{
    (void)arg;
    return getenv(name);
}

void config_load(const char *program, const char *purpose, const config_entry_t *table,
                 void *config, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help(program, purpose, table);
            exit(0);
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("%s %s\n", program, TIFFIN_VERSION);
            exit(0);
        }
        config_refuse(argv[i], "unknown argument; --help shows what there is");
    }
    err_detail_t detail;
    if (config_read(table, config, environment, NULL, &detail) != ERR_OK) {
        fprintf(stderr, "config: %s\n", detail.text);
        exit(EXIT_CONFIG);
    }
}

_Noreturn void config_refuse(const char *setting, const char *reason)
{
    fprintf(stderr, "config: %s: %s\n", setting, reason);
    fflush(NULL);
    _exit(EXIT_CONFIG); /* without exit handlers: threads that run already must not see their ground
                           torn away */
}

/* ---- what every process asks ---- */

bool config_is_dev(const char *tiffin_env)
{
    if (tiffin_env && strcmp(tiffin_env, "dev") == 0)
        return true;
    if (!tiffin_env || strcmp(tiffin_env, "prod") != 0)
        config_refuse("TIFFIN_ENV", "must be dev or prod");
    return false;
}

static bool is_instance_char(char c)
{
    return isalnum((unsigned char)c) || strchr("-_.:@", c);
}

const char *config_instance(const char *service)
{
    static char instance[INSTANCE_SIZE];

    const char *given = getenv("INSTANCE");
    if (!given || !given[0]) {
        char host[32];
        if (gethostname(host, sizeof host) != 0)
            snprintf(host, sizeof host, "localhost");
        host[sizeof host - 1] = '\0';
        snprintf(instance, sizeof instance, "%.18s-%.31s-%d", service, host, (int)getpid());
        return instance;
    }
    if (strlen(given) >= sizeof instance)
        config_refuse("INSTANCE", "has more than 63 characters");
    for (const char *at = given; *at; at++)
        if (!is_instance_char(*at))
            config_refuse("INSTANCE", "may hold letters, digits and - _ . : @ only");
    snprintf(instance, sizeof instance, "%s", given);
    return instance;
}
