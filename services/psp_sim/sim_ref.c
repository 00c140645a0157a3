/* sim_ref.c - see sim_ref.h. A name is a prefix and the serial in some digits, as many as the PSP's
 * names have. */
#include "services/psp_sim/sim_ref.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "lib/err.h"
#include "lib/payment/psp_accounts.h"

enum { KINDS = 5, SAMPLE = 1 };

static const char *const kinds[KINDS] = {"chk", "txn", "rfd", "dsp", "evt"};

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const struct naming {
    const char *prefixes[KINDS];
    unsigned base, width;       /* of `base` digits of base62 at least so many */
    const char *samples[KINDS]; /* what SDKs' examples call the one with serial 1; NULL: no name */
} namings[PSP_COUNT] = {
    [PSP_INDEX_razorpay] = {{"order_", "pay_", "rfnd_", "disp_", "evt_"},
                            62,
                            14,
                            {"order_MadeUp1", "pay_1"}},
    [PSP_INDEX_cashfree] = {{"2", "1", "3", "4", "evt_"}, 10, 18, {NULL}},
    [PSP_INDEX_juspay] = {{"ordeh_", "moz", "rfd", "cb", "evt_V2_"}, 36, 13, {NULL}},
    [PSP_INDEX_stripe] = {{"cs_test_a1", "pi_3", "re_3", "dp_1", "evt_1"}, 62, 22, {NULL, "pi_1"}},
    [PSP_INDEX_payu] = {{"9", "4", "1", "5", "evt_"}, 10, 18, {NULL, "403993715531077182"}},
    [PSP_INDEX_phonepe] = {{"OMO", "OM", "OMR", "OMD", "evt_"}, 10, 22, {NULL}},
    [PSP_INDEX_adyen] = {{"CS", "T", "R", "D", "evt_"}, 36, 15, {NULL, "PSP1"}},
};

uint64_t sim_serial(void)
{
    uint64_t serial;
    CHECK(getrandom(&serial, sizeof serial, 0) == (ssize_t)sizeof serial);
    return serial >> 5; /* 18 decimal digits */
}

static size_t index_of(const char *kind)
{
    size_t i = 0;
    while (i < KINDS && strcmp(kinds[i], kind) != 0)
        i++;
    return i;
}

/* The prefix; NULL when the kind is a word of its own. */
static const char *prefix_of(const struct naming *naming, const char *kind)
{
    const size_t index = index_of(kind);
    return index < KINDS ? naming->prefixes[index] : NULL;
}

const char *sim_ref(char text[SIM_REF_SIZE], const char *kind, const psp_t *psp, uint64_t serial)
{
    const struct naming *naming = &namings[psp_index(psp)];
    const char *prefix = prefix_of(naming, kind);
    char digits[SIM_REF_SIZE];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    if (serial == SAMPLE && prefix && naming->samples[index_of(kind)]) {
        snprintf(text, SIM_REF_SIZE, "%s", naming->samples[index_of(kind)]);
        return text;
    }
    for (unsigned count = 0; count < naming->width || serial > 0; count++) {
        digits[--at] = base62[serial % naming->base];
        serial /= naming->base;
    }
    snprintf(text, SIM_REF_SIZE, "%s%s%s", prefix ? prefix : kind, prefix ? "" : "_", digits + at);
    return text;
}

bool sim_ref_parse(str_t text, const char *kind, const psp_t *psp, uint64_t *serial)
{
    const struct naming *naming = &namings[psp_index(psp)];
    const char *prefix = prefix_of(naming, kind);
    const size_t size = prefix ? strlen(prefix) : 0;
    if (!prefix || text.size != size + naming->width || memcmp(text.data, prefix, size) != 0)
        return false;
    *serial = 0;
    for (size_t i = size; i < text.size; i++) {
        const char *digit = memchr(base62, text.data[i], naming->base);
        if (!digit)
            return false;
        *serial = *serial * naming->base + (uint64_t)(digit - base62);
    }
    return true;
}
