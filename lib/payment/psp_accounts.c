/* psp_accounts.c - development values of the PSPs' accounts, and the refusal of half a
 * configuration.
 *
 * What must never happen: a production process that takes a webhook signed with a secret printed in
 * this repository.
 */
#include "lib/payment/psp_accounts.h"

#include <stdio.h>
#include <string.h>

#include "lib/payment/psp/connector.h"

#define DEV_SECRET "dev-secret"

enum { VALUE_COUNT = 4, BASE_URL_MAX_BYTES = 512, KEY_MAX_BYTES = 128, SETTING_SIZE = 64 };

/* One PSP's row of PSPS as data; its four values in the order of `settings`. */
typedef struct account_row {
    const char *prefix;
    const char *dev_values[VALUE_COUNT];
} account_row_t;

static const char *const settings[VALUE_COUNT] = {"BASE_URL", "KEY_ID", "KEY_SECRET",
                                                  "WEBHOOK_SECRET"};

#define ROW(title, prefix, path, test_key, connector, webhooks, type, member) \
    {                                                                         \
        prefix,                                                               \
        {                                                                     \
            "http://127.0.0.1:8081/" #path, test_key, DEV_SECRET, DEV_SECRET  \
        }                                                                     \
    }
static const account_row_t rows[PSP_COUNT] = {PSPS(ROW, , )};
#undef ROW

static const char **value_of(psp_account_t *account, unsigned index)
{
    const char **values[VALUE_COUNT] = {&account->base_url, &account->key_id, &account->key_secret,
                                        &account->webhook_secrets};
    return values[index];
}

static _Noreturn void refuse(const account_row_t *row, unsigned index, const char *reason)
{
    char setting[SETTING_SIZE];
    snprintf(setting, sizeof setting, "%s_%s", row->prefix, settings[index]);
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

static bool is_dev_secret(const char *list)
{
    str_t rest = str_of(list), secret;
    while (psp_secret_next(&rest, &secret))
        if (str_is(secret, DEV_SECRET))
            return true;
    return false;
}

static bool is_configured(const psp_account_t *account)
{
    return account->base_url || account->key_id || account->key_secret || account->webhook_secrets;
}

static void check_prod(const account_row_t *row, psp_account_t *account)
{
    for (unsigned i = 1; i < VALUE_COUNT; i++) {
        const char *value = *value_of(account, i);
        if (value && (is_dev_secret(value) || strcmp(value, row->dev_values[i]) == 0))
            refuse(row, i, "has its development value, which TIFFIN_ENV=prod refuses");
    }
    for (unsigned i = 0; i < VALUE_COUNT; i++)
        if (!*value_of(account, i))
            refuse(row, i, "is not set, though other settings of this PSP are");
}

/* The forms that requests are built from. */
static void check_forms(const account_row_t *row, psp_account_t *account)
{
    str_t url = str_of(account->base_url), rest = str_of(account->webhook_secrets), secret;
    if (strncmp(url.data, "http://", 7) != 0 && strncmp(url.data, "https://", 8) != 0)
        refuse(row, 0, "must begin with http:// or https://");
    if (url.size > BASE_URL_MAX_BYTES || url.data[url.size - 1] == '/')
        refuse(row, 0, "must not be over 512 bytes, nor end in a slash");
    if (strlen(account->key_id) > KEY_MAX_BYTES || strchr(account->key_id, ':'))
        refuse(row, 1, "must not be over 128 bytes, nor hold a colon");
    if (strlen(account->key_secret) > KEY_MAX_BYTES)
        refuse(row, 2, "must not be over 128 bytes");
    if (!psp_secret_next(&rest, &secret))
        refuse(row, 3, "holds no secret");
}

void psp_accounts_check(psp_accounts_t *accounts, bool dev)
{
    for (unsigned i = 0; i < PSP_COUNT; i++) {
        psp_account_t *account = &accounts->of[i];
        if (!dev && !is_configured(account))
            continue;
        if (!dev)
            check_prod(&rows[i], account);
        for (unsigned j = 0; dev && j < VALUE_COUNT; j++)
            if (!*value_of(account, j))
                *value_of(account, j) = rows[i].dev_values[j];
        check_forms(&rows[i], account);
    }
}

const psp_account_t *psp_account_of(const psp_accounts_t *accounts, const psp_t *psp)
{
    for (size_t i = 0; i < PSP_COUNT; i++)
        if (psp_at(i) == psp)
            return is_configured(&accounts->of[i]) ? &accounts->of[i] : NULL;
    return NULL;
}
