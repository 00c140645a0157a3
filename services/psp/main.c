/* main.c - tiffin-psp: tools for whoever connects a PSP. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config.h"
#include "services/psp/verify.h"

static const char help[] =
    "tiffin-psp - tools for whoever connects a payment service provider\n"
    "\n"
    "  tiffin-psp verify FILE [--now UNIX]\n"
    "      Are the signatures of these webhooks right? By the code that the gateway has, for "
    "those\n"
    "      whose webhook is refused. Prints a line for each request: its id, true or false, and "
    "why.\n"
    "      Exits 0 when every verdict equals the request's signature_valid (where it has none: "
    "true),\n"
    "      1 when one does not, 2 when the file cannot be read, 78 on wrong usage. FILE - is "
    "stdin.\n"
    "      --now  the clock, in seconds since 1970, for schemes whose signature grows old; else "
    "each\n"
    "             request's own \"now\", else the time it is.\n"
    "\n"
    "      FILE is JSON: a list of requests, or one:\n"
    "        {\"id\": \"mine\", \"psp\": \"razorpay\", \"secrets\": [\"…\", \"…\"],\n"
    "         \"headers\": {\"X-Razorpay-Signature\": \"…\"}, \"body\": \"{…}\"}\n"
    "      psp          razorpay, stripe, cashfree, payu, phonepe, phonepe_v1, paytm, paytm_s2s, "
    "adyen,\n"
    "                   adyen_platform, juspay, standard_webhooks; square, paddle, gocardless\n"
    "      secrets      what the receiver has configured: any of them may fit. phonepe and "
    "juspay:\n"
    "                   username:password; phonepe_v1: index:key; adyen: the key in hexadecimal\n"
    "      body         the bytes as they came; with \"body_encoding\": \"base64\" in base64\n"
    "      key          PayU's merchant key; \"config\": {\"useSplitHash\": true} where splits are "
    "hashed\n"
    "      tolerance    seconds, instead of the scheme's own; 0: no time is checked\n"
    "      expected     of payu, a hash that is sent: of the command in the body, or of the "
    "payment's\n"
    "                   fields, a JSON object\n"
    "\n"
    "  --help, --version\n";

static int refuse(const char *words, const char *what)
{
    fprintf(stderr, "tiffin-psp: %s%s; --help tells more\n", words, what);
    return EXIT_CONFIG;
}

static bool read_time(const char *text, int64_t *time_s)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    *time_s = value;
    return *text && *end == '\0' && errno == 0 && value >= 0;
}

static int run_verify(int argc, char **argv)
{
    verify_options_t options = {.path = NULL};
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--now") == 0) {
            if (i + 1 == argc || !read_time(argv[i + 1], &options.now_s))
                return refuse("--now wants seconds since 1970", "");
            options.has_now = true;
            i++;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            return refuse("unknown option ", argv[i]);
        } else if (options.path) {
            return refuse("one file at a time, not also ", argv[i]);
        } else {
            options.path = argv[i];
        }
    }
    if (!options.path)
        return refuse("which FILE?", "");
    return verify_file(&options, stdout, stderr);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("tiffin-psp %s\n", TIFFIN_VERSION);
            return 0;
        }
    }
    if (argc < 2)
        return refuse("what is to be done?", "");
    if (strcmp(argv[1], "verify") == 0)
        return run_verify(argc, argv);
    return refuse("unknown command ", argv[1]);
}
