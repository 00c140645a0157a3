/* tap_options.c - see tap_options.h. Pure: nothing is printed or ended here. */
#include "services/tap/tap_options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { DURATION_MAX_MS = 24 * 60 * 60 * 1000, COUNT_MAX = 1000000000 };

enum option_id {
    OPTION_WHERE = 256,
    OPTION_TRACE,
    OPTION_ERRORS,
    OPTION_SLOW,
    OPTION_EXPECT,
    OPTION_WITHIN,
    OPTION_COUNT,
    OPTION_JSON,
    OPTION_CONNECT,
    OPTION_NO_COLOR,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"where", required_argument, NULL, OPTION_WHERE},
    {"trace", required_argument, NULL, OPTION_TRACE},
    {"errors", no_argument, NULL, OPTION_ERRORS},
    {"slow", required_argument, NULL, OPTION_SLOW},
    {"expect", required_argument, NULL, OPTION_EXPECT},
    {"within", required_argument, NULL, OPTION_WITHIN},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"connect", required_argument, NULL, OPTION_CONNECT},
    {"no-color", no_argument, NULL, OPTION_NO_COLOR},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

void tap_options_help(FILE *out)
{
    fputs(
        "tiffin-tap - shows what passes through the gateways' hubs, live\n\n"
        "Usage: tiffin-tap [OPTION…] [PATTERN…]\n"
        "       tiffin-tap --expect PATTERN [--within 2s] [OPTION…]\n\n"
        "PATTERN is a glob over topics (\"service.verb\": 'order.*', "
        "'webhook-processor.handled');\n"
        "several may be given, none means everything. A reply has the topic of its request; the\n"
        "name of a reply ('order.created', 'bus.error') finds it too.\n\n"
        "What is shown\n"
        "  --where FIELD=VALUE  only messages with this value, in the body or in what is known\n"
        "                       about it (instance, gateway, kind, message, request_id, status);\n"
        "                       repeated: all must hold. A reply also counts when its request\n"
        "                       did. Masked fields hold ***\n"
        "  --trace ID           only messages with this request id, or with this part of a\n"
        "                       traceparent\n"
        "  --errors             only replies whose status is not OK\n"
        "  --slow 200ms         only replies that took so long or longer\n"
        "  --count N            ends after N messages\n\n"
        "How\n"
        "  --json               one JSON object a line\n"
        "  --no-color           no colours (nor are there any when NO_COLOR is set or standard\n"
        "                       output is no terminal)\n"
        "  --connect ADDR       instead of TAP_ADDR\n\n"
        "For scripts\n"
        "  --expect PATTERN     ends with status 0 as soon as such a message (or --count N of\n"
        "                       them) was seen, with 1 when the time is over. Says\n"
        "                       \"tap: listening\" on standard error once a gateway has taken the\n"
        "                       subscription: what is sent from then on is seen\n"
        "  --within 2s          the time for --expect, from the start (default 10s)\n\n"
        "  --help, --version\n\n"
        "Settings are environment variables; an empty one counts as not set:\n\n"
        "  TAP_ADDR (default " TAP_ADDR_DEFAULT ")\n"
        "      every gateway's tap: a name that may have many addresses, a comma list, or @file\n"
        "      with one endpoint a line; looked up again every few seconds\n\n"
        "Exit status:\n"
        "   0  ended by a signal, by --count, by what was expected\n"
        "   1  what was expected did not come\n"
        "  78  bad option or setting; one line on standard error names it\n",
        out);
}

bool tap_duration_parse(const char *text, int64_t *duration_ms)
{
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || number > DURATION_MAX_MS)
        return false;
    if (strcmp(end, "s") == 0)
        number *= 1000;
    else if (strcmp(end, "ms") != 0)
        return false;
    *duration_ms = number;
    return number <= DURATION_MAX_MS;
}

static bool parse_count(const char *text, int64_t *count)
{
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    *count = number;
    return errno == 0 && *end == '\0' && number >= 1 && number <= COUNT_MAX;
}

static err_t add_pattern(tap_options_t *options, const char *pattern, err_detail_t *detail)
{
    if (options->pattern_count == TAP_PATTERNS_MAX)
        return err_set(detail, ERR_BAD_CONFIG, "PATTERN: at most %d", TAP_PATTERNS_MAX);
    options->patterns[options->pattern_count++] = pattern;
    return ERR_OK;
}

static err_t add_where(tap_options_t *options, const char *text, err_detail_t *detail)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || equals - text >= TAP_FIELD_SIZE)
        return err_set(detail, ERR_BAD_CONFIG, "--where: must be FIELD=VALUE, not %s", text);
    if (options->where_count == TAP_WHERES_MAX)
        return err_set(detail, ERR_BAD_CONFIG, "--where: at most %d times", TAP_WHERES_MAX);
    tap_where_t *where = &options->wheres[options->where_count++];
    memcpy(where->field, text, (size_t)(equals - text));
    where->value = equals + 1;
    return ERR_OK;
}

static err_t parse_duration(const char *name, const char *text, int64_t *duration_ms,
                            err_detail_t *detail)
{
    if (!tap_duration_parse(text, duration_ms))
        return err_set(detail, ERR_BAD_CONFIG, "%s: must be like 200ms or 2s, not %s", name, text);
    return ERR_OK;
}

static err_t set_expect(tap_options_t *options, const char *pattern, err_detail_t *detail)
{
    if (options->expect)
        return err_set(detail, ERR_BAD_CONFIG, "--expect: once only");
    options->expect = true;
    return add_pattern(options, pattern, detail);
}

static err_t set_slow(tap_options_t *options, const char *text, err_detail_t *detail)
{
    int64_t slow_ms = 0;
    TRY(parse_duration("--slow", text, &slow_ms, detail));
    options->slow_us = slow_ms * 1000;
    return ERR_OK;
}

static err_t set_option(tap_options_t *options, int id, const char *value, err_detail_t *detail)
{
    switch (id) {
    case OPTION_WHERE:
        return add_where(options, value, detail);
    case OPTION_TRACE:
        options->trace = value;
        return ERR_OK;
    case OPTION_ERRORS:
        options->errors = true;
        return ERR_OK;
    case OPTION_SLOW:
        return set_slow(options, value, detail);
    case OPTION_EXPECT:
        return set_expect(options, value, detail);
    case OPTION_WITHIN:
        return parse_duration("--within", value, &options->within_ms, detail);
    case OPTION_COUNT:
        if (!parse_count(value, &options->count))
            return err_set(detail, ERR_BAD_CONFIG, "--count: must be 1 to %d", COUNT_MAX);
        return ERR_OK;
    case OPTION_JSON:
        options->json = true;
        return ERR_OK;
    case OPTION_CONNECT:
        options->connect = value;
        return ERR_OK;
    case OPTION_NO_COLOR:
        options->no_color = true;
        return ERR_OK;
    case OPTION_HELP:
        options->help = true;
        return ERR_OK;
    default:
        options->version = true;
        return ERR_OK;
    }
}

/* What the options mean together. */
static err_t check_options(tap_options_t *options, err_detail_t *detail)
{
    if (options->expect && options->pattern_count > 1)
        return err_set(detail, ERR_BAD_CONFIG, "--expect: takes the only PATTERN");
    if (options->within_ms >= 0 && !options->expect)
        return err_set(detail, ERR_BAD_CONFIG, "--within: needs --expect");
    if (options->within_ms == 0)
        return err_set(detail, ERR_BAD_CONFIG, "--within: must not be 0");
    if (options->within_ms < 0)
        options->within_ms = TAP_WITHIN_DEFAULT_MS;
    if (options->expect && options->count == 0)
        options->count = 1;
    return ERR_OK;
}

err_t tap_options_parse(int argc, char **argv, tap_options_t *options, err_detail_t *detail)
{
    *options = (tap_options_t){.slow_us = -1, .within_ms = -1};
    optind = 0; /* glibc: begin anew, so that tests may parse twice */
    opterr = 0;
    int id;
    while ((id = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (id == '?')
            return err_set(detail, ERR_BAD_CONFIG, "%s: unknown option; --help shows what there is",
                           argv[optind - 1]);
        if (id == ':')
            return err_set(detail, ERR_BAD_CONFIG, "%s: needs a value", argv[optind - 1]);
        TRY(set_option(options, id, optarg, detail));
    }
    for (int i = optind; i < argc; i++)
        TRY(add_pattern(options, argv[i], detail));
    return check_options(options, detail);
}
