/* verify.c - see verify.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/form.h"
#include "lib/json_raw.h"
#include "lib/payment/signature.h"
#include "lib/payment/signature/parts.h"
#include "services/psp/verify.h"

enum { FILE_MAX_BYTES = 64 << 20 };

static str_t text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return (str_t){NULL, 0};
    return (str_t){json_string_value(value), (uint32_t)json_string_length(value)};
}

static const char *header_of(void *arg, const char *name)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)arg, key, value)
    {
        if (strcasecmp(key, name) == 0)
            return json_string_value(value);
    }
    return NULL;
}

/* ---- what a file calls a PSP, and the scheme that is meant ---- */

static const struct {
    const char *psp;
    signature_fn *fits;
} schemes[] = {
    {"razorpay", signature_razorpay},     {"stripe", signature_stripe},
    {"cashfree", signature_cashfree},     {"payu", signature_payu},
    {"phonepe", signature_phonepe},       {"phonepe_v1", signature_phonepe_v1},
    {"paytm", signature_paytm},           {"paytm_s2s", signature_paytm_s2s},
    {"adyen", signature_adyen},           {"adyen_platform", signature_adyen_platform},
    {"juspay", signature_juspay},         {"standard_webhooks", signature_standard_webhooks},
    {"square", signature_square},         {"paddle", signature_paddle},
    {"gocardless", signature_gocardless},
};

/* What a checkout page hands back is a form, without the header that webhooks have. */
static bool is_callback(const signature_input_t *input)
{
    return !input->header(input->header_arg, "X-Razorpay-Signature") && input->body.size > 0 &&
           input->body.data[0] != '{';
}

static signature_fn *scheme_of(str_t psp, const signature_input_t *input)
{
    if (str_is(psp, "razorpay") && is_callback(input))
        return signature_razorpay_callback;
    if (str_is(psp, "paytm") && input->header(input->header_arg, "x-signature-in-head"))
        return signature_paytm_header;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (str_is(psp, schemes[i].psp))
            return schemes[i].fits;
    return NULL;
}

/* ---- hashes that we send: the file says what they must be ---- */

static void payu_hash_of_form(str_t key, str_t body, str_t salt,
                              char hex[SIGNATURE_SHA512_HEX_SIZE])
{
    char merchant[256], command[256] = "", var1[1024] = "";
    str_copy(key, merchant, sizeof merchant);
    (void)form_copy(body, "command", command, sizeof command);
    (void)form_copy(body, "var1", var1, sizeof var1);
    signature_payu_command(merchant, command, var1, salt, hex);
}

static void payu_hash_of_payment(str_t key, const json_t *fields, str_t salt,
                                 char hex[SIGNATURE_SHA512_HEX_SIZE])
{
    static const char *const names[] = {"txnid", "amount", "productinfo", "firstname", "email",
                                        "udf1",  "udf2",   "udf3",        "udf4",      "udf5"};
    char merchant[256];
    const char *values[11] = {str_copy(key, merchant, sizeof merchant)};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = json_string_value(json_object_get(fields, names[i]));
        values[i + 1] = value ? value : "";
    }
    signature_payu_payment(values, salt, hex);
}

static bool payu_hash_fits(const json_t *request, const signature_input_t *input,
                           char reason[SIGNATURE_REASON_SIZE])
{
    bool found = false;
    json_t *fields =
        json_loadb(input->body.data ? input->body.data : "", input->body.size, 0, NULL);
    for (size_t i = 0; i < input->secret_count; i++) {
        char hex[SIGNATURE_SHA512_HEX_SIZE];
        if (fields)
            payu_hash_of_payment(input->key_id, fields, input->secrets[i], hex);
        else
            payu_hash_of_form(input->key_id, input->body, input->secrets[i], hex);
        found |= str_is(text_of(request, "expected"), hex);
    }
    json_decref(fields);
    reason[0] = '\0';
    if (!found)
        str_copy(STR_LITERAL("our hash is another"), reason, SIGNATURE_REASON_SIZE);
    return found;
}

/* ---- one request ---- */

typedef struct given_header {
    const char *name, *value;
} given_header_t;

static const char *only_header(void *arg, const char *name)
{
    const given_header_t *header = arg;
    return strcasecmp(header->name, name) == 0 ? header->value : NULL;
}

/* A JSON webhook of Paytm's whose checksum is tried over the whole request. */
static bool paytm_whole_fits(signature_input_t input, char reason[SIGNATURE_REASON_SIZE])
{
    json_t *root = json_loadb(input.body.data, input.body.size, 0, NULL);
    given_header_t header = {
        "x-signature-in-head",
        json_string_value(json_object_get(json_object_get(root, "head"), "signature"))};
    input.header = only_header;
    input.header_arg = &header;
    const bool fitting = signature_paytm_header(&input, reason);
    json_decref(root);
    return fitting;
}

static bool judge(const json_t *request, const signature_input_t *input,
                  char reason[SIGNATURE_REASON_SIZE])
{
    const str_t psp = text_of(request, "psp");
    if (str_is(psp, "payu") && json_object_get(request, "expected"))
        return payu_hash_fits(request, input, reason);
    if (str_is(psp, "paytm_s2s") && str_is(text_of(request, "signed_bytes_tried"), "whole request"))
        return paytm_whole_fits(*input, reason);
    signature_fn *fits = scheme_of(psp, input);
    if (fits)
        return fits(input, reason);
    str_copy(STR_LITERAL("this PSP's scheme is not known here"), reason, SIGNATURE_REASON_SIZE);
    return false;
}

static int64_t number_of(const json_t *request, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(request, name);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

/* True: the verdict is what the file says. */
static bool verify_one(const verify_options_t *options, const json_t *request, size_t number,
                       FILE *out)
{
    str_t secrets[SIGNATURE_SECRETS_MAX];
    const json_t *list = json_object_get(request, "secrets"),
                 *expected = json_object_get(request, "signature_valid");
    const json_t *config = json_object_get(request, "config");
    char reason[SIGNATURE_REASON_SIZE] = "";
    buf_t decoded = {0};
    signature_input_t input = {.header = header_of,
                               .header_arg = json_object_get(request, "headers"),
                               .body = text_of(request, "body"),
                               .secrets = secrets,
                               .key_id = text_of(request, "key"),
                               .split = json_is_true(json_object_get(config, "useSplitHash")),
                               .url = text_of(request, "notification_url"),
                               .tolerance_s = number_of(request, "tolerance", -1)};
    input.now_s =
        options->has_now ? options->now_s : number_of(request, "now", clock_wall_us() / 1000000);
    for (size_t i = 0; i < json_array_size(list) && input.secret_count < SIGNATURE_SECRETS_MAX;
         i++) {
        const json_t *secret = json_array_get(list, i);
        if (json_is_string(secret))
            secrets[input.secret_count++] =
                (str_t){json_string_value(secret), (uint32_t)json_string_length(secret)};
    }
    bool verdict = false;
    if (str_is(text_of(request, "body_encoding"), "base64") && input.body.size > 0 &&
        !signature_decode_base64(input.body, &decoded)) {
        str_copy(STR_LITERAL("the body is no base64"), reason, sizeof reason);
    } else {
        if (decoded.data)
            input.body = signature_text(&decoded);
        else if (!input.body.data)
            input.body = STR_LITERAL("");
        verdict = judge(request, &input, reason);
    }
    buf_free(&decoded);
    const str_t id = text_of(request, "id");
    if (id.size > 0)
        fprintf(out, "%.*s", STR_ARG(id));
    else
        fprintf(out, "request-%zu", number);
    fprintf(out, " %s %s\n", verdict ? "true" : "false", verdict ? "the signature fits" : reason);
    return expected ? json_is_true(expected) == verdict : verdict;
}

/* ---- the file ---- */

/* The whole of it; NULL with errno. The caller's. */
static char *read_all(const char *path, size_t *size)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    buf_t text;
    char chunk[65536];
    buf_init(&text, FILE_MAX_BYTES);
    if (!file)
        return NULL;
    buf_add(&text, "", 0);
    for (size_t got; (got = fread(chunk, 1, sizeof chunk, file)) > 0;)
        buf_add(&text, chunk, got);
    const bool failed = ferror(file) || text.overflow;
    const int error = text.overflow ? EFBIG : errno;
    if (file != stdin)
        fclose(file);
    if (failed) {
        buf_free(&text);
        errno = error;
        return NULL;
    }
    *size = text.size;
    return text.data ? text.data : calloc(1, 1);
}

int verify_file(const verify_options_t *options, FILE *out, FILE *errors)
{
    size_t size = 0;
    char *text = read_all(options->path, &size);
    if (!text) {
        fprintf(errors, "tiffin-psp: %s: %s\n", options->path, strerror(errno));
        return 2;
    }
    json_error_t error;
    json_t *root = json_loadb(text, size, JSON_ALLOW_NUL, &error);
    free(text);
    if (!root) {
        fprintf(errors, "tiffin-psp: %s: line %d: %s\n", options->path, error.line, error.text);
        return 2;
    }
    json_t *list = json_is_object(root) && json_object_get(root, "vectors")
                       ? json_object_get(root, "vectors")
                       : root;
    const size_t count = json_is_array(list) ? json_array_size(list) : json_is_object(list);
    bool all = true;
    if (count == 0)
        fprintf(errors, "tiffin-psp: %s: there is no request in it\n", options->path);
    for (size_t i = 0; i < count; i++)
        all &=
            verify_one(options, json_is_array(list) ? json_array_get(list, i) : list, i + 1, out);
    json_decref(root);
    return count == 0 ? 2 : all ? 0 : 1;
}
