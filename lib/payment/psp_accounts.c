/* psp_accounts.c - development values of the PSPs' accounts, and the refusal of half a
 * configuration.
 *
 * What must never happen: a production process that takes a webhook signed with a secret printed in
 * this repository.
 */
#include "lib/payment/psp_accounts.h"

#include <stdio.h>
#include <string.h>

#define DEV_SECRET "dev-secret"
#define SIMULATOR "http://127.0.0.1:8081/"

enum { BASE_URL_MAX_BYTES = 512, VALUE_MAX_BYTES = 128, SETTING_SIZE = 64 };

typedef enum value {
    BASE_URL,
    KEY_ID,
    KEY_SECRET,
    WEBHOOK_SECRET,
    ACCOUNT,
    DEFAULT_PHONE,
    PREAUTH,
    VALUES
} value_t;

static const char *const settings[VALUES] = {
    "BASE_URL", "KEY_ID", "KEY_SECRET", "WEBHOOK_SECRET", "ACCOUNT", "DEFAULT_PHONE", "PREAUTH"};

/* What each PSP's values are in development, NULL for those that it has not; which it does without
 * (BASE_URL among them: it is where the API is, as the PSP says it). */
static const struct {
    const char *prefix, *live_url, *test_url;
    unsigned optional; /* bit i: value i */
    const char *dev_values[VALUES];
} rows[PSP_COUNT] = {
    [PSP_INDEX_razorpay] = {"RAZORPAY",
                            "https://api.razorpay.com",
                            "https://api.razorpay.com",
                            0,
                            {SIMULATOR "razorpay", "rzp_test_key", DEV_SECRET, DEV_SECRET}},
    [PSP_INDEX_cashfree] = {"CASHFREE",
                            "https://api.cashfree.com",
                            "https://sandbox.cashfree.com",
                            1 << DEFAULT_PHONE | 1 << PREAUTH,
                            {SIMULATOR "cashfree", "cf_test_key", DEV_SECRET, DEV_SECRET, NULL,
                             "9999999999", "yes"}},
    [PSP_INDEX_juspay] = {"JUSPAY",
                          "https://api.juspay.in",
                          "https://sandbox.juspay.in",
                          1 << ACCOUNT,
                          {SIMULATOR "juspay", "jp_test_key", DEV_SECRET,
                           "tiffin:" DEV_SECRET "," DEV_SECRET, "jp_test_key"}},
    [PSP_INDEX_stripe] = {"STRIPE",
                          "https://api.stripe.com",
                          "https://api.stripe.com",
                          0,
                          {SIMULATOR "stripe", NULL, DEV_SECRET, DEV_SECRET}},
    [PSP_INDEX_payu] = {"PAYU",
                        "https://secure.payu.in",
                        "https://test.payu.in",
                        0,
                        {SIMULATOR "payu", "payu_test_key", DEV_SECRET, DEV_SECRET}},
    [PSP_INDEX_phonepe] = {"PHONEPE",
                           "https://api.phonepe.com/apis/pg",
                           "https://api-preprod.phonepe.com/apis/pg-sandbox",
                           1 << ACCOUNT,
                           {SIMULATOR "phonepe", "pp_test_key", DEV_SECRET,
                            "tiffin:" DEV_SECRET "," DEV_SECRET, "1"}},
    /* Adyen's live API is at an address of the merchant's own: there is none to begin with. */
    [PSP_INDEX_adyen] = {"ADYEN",
                         NULL,
                         "https://checkout-test.adyen.com",
                         0,
                         {SIMULATOR "adyen", "test_dev", DEV_SECRET,
                          "6465762D736563726574," DEV_SECRET, "TiffinDev"}},
};

static const char **value_of(psp_account_t *account, unsigned value)
{
    const char **values[VALUES] = {&account->base_url,   &account->key_id,
                                   &account->key_secret, &account->webhook_secrets,
                                   &account->account,    &account->default_phone,
                                   &account->preauth};
    return values[value];
}

static _Noreturn void refuse(unsigned psp, unsigned value, const char *reason)
{
    char setting[SETTING_SIZE];
    snprintf(setting, sizeof setting, "%s_%s", rows[psp].prefix, settings[value]);
    config_refuse(setting, reason);
}

bool psp_secret_next(str_t *rest, str_t *secret)
{
    while (rest->size > 0) {
        const char *comma = memchr(rest->data, ',', rest->size);
        uint32_t size = comma ? (uint32_t)(comma - rest->data) : rest->size;
        str_t item = {rest->data, size};
        uint32_t taken = comma ? size + 1 : size;
        rest->data += taken;
        rest->size -= taken;
        while (item.size > 0 && item.data[0] == ' ') {
            item.data++;
            item.size--;
        }
        while (item.size > 0 && item.data[item.size - 1] == ' ')
            item.size--;
        if (item.size > 0) {
            *secret = item;
            return true;
        }
    }
    return false;
}

/* Is any of the list's items one of the other list's? */
static bool share_item(const char *list, const char *other_list)
{
    str_t rest = str_of(list), item;
    while (psp_secret_next(&rest, &item)) {
        str_t others = str_of(other_list), other;
        while (psp_secret_next(&others, &other))
            if (str_equal(item, other))
                return true;
    }
    return false;
}

static bool is_configured(psp_account_t *account)
{
    for (unsigned i = 0; i < VALUES; i++)
        if (*value_of(account, i))
            return true;
    return false;
}

static bool is_dev_value(unsigned psp, unsigned value, const char *text)
{
    const char *dev_value = rows[psp].dev_values[value];
    return share_item(text, DEV_SECRET) || (dev_value && share_item(text, dev_value));
}

static void check_prod(unsigned psp, psp_account_t *account)
{
    for (unsigned i = KEY_ID; i <= WEBHOOK_SECRET; i++) {
        const char *value = *value_of(account, i);
        if (value && is_dev_value(psp, i, value))
            refuse(psp, i, "has its development value, which TIFFIN_ENV=prod refuses");
    }
    if (!account->base_url)
        account->base_url = rows[psp].live_url;
    for (unsigned i = 0; i < VALUES; i++)
        if (rows[psp].dev_values[i] && !(rows[psp].optional >> i & 1) && !*value_of(account, i))
            refuse(psp, i, "is not set, though other settings of this PSP are");
    account->given = true;
}

/* Whoever has keys means the PSP's own API for tests, not the simulator. */
static void fill_dev(unsigned psp, psp_account_t *account)
{
    account->given = account->key_secret && !is_dev_value(psp, KEY_SECRET, account->key_secret);
    if (account->given && !account->base_url)
        account->base_url = rows[psp].test_url;
    for (unsigned i = 0; i < VALUES; i++)
        if (!*value_of(account, i) && !(account->given && rows[psp].optional >> i & 1))
            *value_of(account, i) = rows[psp].dev_values[i];
}

/* The forms that requests are built from. */
static void check_forms(unsigned psp, psp_account_t *account)
{
    str_t url = str_of(account->base_url), rest = str_of(account->webhook_secrets), secret;
    if (strncmp(url.data, "http://", 7) != 0 && strncmp(url.data, "https://", 8) != 0)
        refuse(psp, BASE_URL, "must begin with http:// or https://");
    if (url.size > BASE_URL_MAX_BYTES || url.data[url.size - 1] == '/')
        refuse(psp, BASE_URL, "must not be over 512 bytes, nor end in a slash");
    if (account->key_id && strchr(account->key_id, ':'))
        refuse(psp, KEY_ID, "must not hold a colon");
    for (unsigned i = KEY_ID; i < VALUES; i++) {
        const char *value = *value_of(account, i);
        if (value && i != WEBHOOK_SECRET && strlen(value) > VALUE_MAX_BYTES)
            refuse(psp, i, "must not be over 128 bytes");
        for (; value && *value; value++)
            if ((unsigned char)*value < ' ' || *value == 127)
                refuse(psp, i, "must not hold control characters");
    }
    if (account->preauth && strcmp(account->preauth, "yes") != 0 &&
        strcmp(account->preauth, "no") != 0)
        refuse(psp, PREAUTH, "must be yes or no");
    if (!psp_secret_next(&rest, &secret))
        refuse(psp, WEBHOOK_SECRET, "holds no secret");
}

void psp_accounts_check(psp_accounts_t *accounts, bool dev)
{
    for (unsigned i = 0; i < PSP_COUNT; i++) {
        psp_account_t *account = &accounts->of[i];
        if (!dev && !is_configured(account))
            continue;
        if (dev)
            fill_dev(i, account);
        else
            check_prod(i, account);
        check_forms(i, account);
    }
}

const psp_account_t *psp_account_of(const psp_accounts_t *accounts, const psp_t *psp)
{
    const psp_account_t *account = &accounts->of[psp_index(psp)];
    return account->base_url ? account : NULL;
}
