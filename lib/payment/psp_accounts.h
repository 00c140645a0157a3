/* psp_accounts.h - the settings of all PSPs, and what a merchant configured for each.
 *
 *   typedef struct router_config { …; psp_accounts_t psps; } router_config_t;
 *   static const config_entry_t table[] = {…, PSP_ACCOUNT_SETTINGS(router_config_t, psps),
 * CONFIG_END}; config_load(…); psp_accounts_check(&config.psps, dev);
 */
#ifndef TIFFIN_LIB_PAYMENT_PSP_ACCOUNTS_H
#define TIFFIN_LIB_PAYMENT_PSP_ACCOUNTS_H

#include <stdbool.h>

#include "lib/config.h"
#include "lib/payment/psp.h"

/* In priority order. The name is the PSP's path at the simulator, too. */
enum {
    PSP_INDEX_razorpay,
    PSP_INDEX_cashfree,
    PSP_INDEX_juspay,
    PSP_INDEX_stripe,
    PSP_INDEX_payu,
    PSP_INDEX_phonepe,
    PSP_INDEX_adyen,
    PSP_COUNT
};

typedef struct psp_accounts {
    psp_account_t of[PSP_COUNT]; /* as the registry is ordered */
} psp_accounts_t;

/* Entries for a config table; `member` is the psp_accounts_t inside `type`. Types, members and
 * parts of literals cannot be put in parentheses. NOLINTBEGIN(bugprone-macro-parentheses) */
#define PSP_ACCOUNT_SETTINGS(type, member)                                                         \
    PSP_SETTING("RAZORPAY_BASE_URL", razorpay, base_url, 0, PSP_URL_HELP("Razorpay"), type,        \
                member),                                                                           \
        PSP_SETTING("RAZORPAY_KEY_ID", razorpay, key_id, 0, "key id at Razorpay: rzp_live_…",      \
                    type, member),                                                                 \
        PSP_SETTING("RAZORPAY_KEY_SECRET", razorpay, key_secret, CONFIG_SECRET,                    \
                    "key secret at Razorpay", type, member),                                       \
        PSP_SETTING("RAZORPAY_WEBHOOK_SECRET", razorpay, webhook_secrets, CONFIG_SECRET,           \
                    PSP_SECRETS_HELP("what Razorpay signs webhooks with"), type, member),          \
        PSP_SETTING("CASHFREE_BASE_URL", cashfree, base_url, 0, PSP_URL_HELP("Cashfree"), type,    \
                    member),                                                                       \
        PSP_SETTING("CASHFREE_KEY_ID", cashfree, key_id, 0, "client id at Cashfree", type,         \
                    member),                                                                       \
        PSP_SETTING("CASHFREE_KEY_SECRET", cashfree, key_secret, CONFIG_SECRET,                    \
                    "client secret at Cashfree", type, member),                                    \
        PSP_SETTING("CASHFREE_WEBHOOK_SECRET", cashfree, webhook_secrets, CONFIG_SECRET,           \
                    PSP_SECRETS_HELP("what Cashfree signs webhooks with: the client secret"),      \
                    type, member),                                                                 \
        PSP_SETTING("CASHFREE_DEFAULT_PHONE", cashfree, default_phone, 0,                          \
                    "phone number that Cashfree is told where the order has none; without it "     \
                    "such orders are refused; in dev 9999999999",                                  \
                    type, member),                                                                 \
        PSP_SETTING("CASHFREE_PREAUTH", cashfree, preauth, 0,                                      \
                    "yes: Cashfree has enabled preauthorisation for the account, so that orders "  \
                    "that are captured by hand go there; else no; in dev yes",                     \
                    type, member),                                                                 \
        PSP_SETTING("JUSPAY_BASE_URL", juspay, base_url, 0, PSP_URL_HELP("Juspay"), type, member), \
        PSP_SETTING("JUSPAY_KEY_ID", juspay, key_id, 0, "merchant id at Juspay", type, member),    \
        PSP_SETTING("JUSPAY_KEY_SECRET", juspay, key_secret, CONFIG_SECRET, "API key at Juspay",   \
                    type, member),                                                                 \
        PSP_SETTING("JUSPAY_WEBHOOK_SECRET", juspay, webhook_secrets, CONFIG_SECRET,               \
                    PSP_SECRETS_HELP("username:password that Juspay sends with webhooks"), type,   \
                    member),                                                                       \
        PSP_SETTING("JUSPAY_ACCOUNT", juspay, account, 0,                                          \
                    "payment page client id at Juspay; else the merchant id", type, member),       \
        PSP_SETTING("STRIPE_BASE_URL", stripe, base_url, 0, PSP_URL_HELP("Stripe"), type, member), \
        PSP_SETTING("STRIPE_KEY_SECRET", stripe, key_secret, CONFIG_SECRET,                        \
                    "secret key at Stripe: sk_live_…", type, member),                              \
        PSP_SETTING("STRIPE_WEBHOOK_SECRET", stripe, webhook_secrets, CONFIG_SECRET,               \
                    PSP_SECRETS_HELP("what Stripe signs webhooks with: whsec_…"), type, member),   \
        PSP_SETTING("PAYU_BASE_URL", payu, base_url, 0, PSP_URL_HELP("PayU"), type, member),       \
        PSP_SETTING("PAYU_KEY_ID", payu, key_id, 0, "merchant key at PayU", type, member),         \
        PSP_SETTING("PAYU_KEY_SECRET", payu, key_secret, CONFIG_SECRET, "salt at PayU", type,      \
                    member),                                                                       \
        PSP_SETTING("PAYU_WEBHOOK_SECRET", payu, webhook_secrets, CONFIG_SECRET,                   \
                    PSP_SECRETS_HELP("what PayU hashes webhooks with: the salt"), type, member),   \
        PSP_SETTING("PHONEPE_BASE_URL", phonepe, base_url, 0, PSP_URL_HELP("PhonePe"), type,       \
                    member),                                                                       \
        PSP_SETTING("PHONEPE_KEY_ID", phonepe, key_id, 0, "client id at PhonePe", type, member),   \
        PSP_SETTING("PHONEPE_KEY_SECRET", phonepe, key_secret, CONFIG_SECRET,                      \
                    "client secret at PhonePe", type, member),                                     \
        PSP_SETTING("PHONEPE_WEBHOOK_SECRET", phonepe, webhook_secrets, CONFIG_SECRET,             \
                    PSP_SECRETS_HELP("username:password that PhonePe sends with webhooks, "        \
                                     "hashed"),                                                    \
                    type, member),                                                                 \
        PSP_SETTING("PHONEPE_ACCOUNT", phonepe, account, 0, "client version at PhonePe; else 1",   \
                    type, member),                                                                 \
        PSP_SETTING("ADYEN_BASE_URL", adyen, base_url, 0, PSP_URL_HELP("Adyen"), type, member),    \
        PSP_SETTING("ADYEN_KEY_ID", adyen, key_id, 0,                                              \
                    "client key at Adyen, which browsers see: test_… or live_…", type, member),    \
        PSP_SETTING("ADYEN_KEY_SECRET", adyen, key_secret, CONFIG_SECRET, "API key at Adyen",      \
                    type, member),                                                                 \
        PSP_SETTING("ADYEN_WEBHOOK_SECRET", adyen, webhook_secrets, CONFIG_SECRET,                 \
                    PSP_SECRETS_HELP("HMAC key that Adyen signs webhooks with, in hex"), type,     \
                    member),                                                                       \
        PSP_SETTING("ADYEN_ACCOUNT", adyen, account, 0, "merchant account at Adyen", type, member)
#define PSP_SETTING(name, psp, field, flags, help, type, member) \
    CONFIG_TEXT(name, type, member.of[PSP_INDEX_##psp].field, NULL, flags, help)
/* NOLINTEND(bugprone-macro-parentheses) */
#define PSP_URL_HELP(psp)                                                                        \
    "where " psp "'s API is, without a slash at the end; else its live API (in dev, with keys, " \
    "its test API; without keys the simulator)"
#define PSP_SECRETS_HELP(what) what "; several, comma separated, while one replaces another"

/* Once, after config_load. In dev a PSP that is not configured gets development values, which the
 * simulator knows. A PSP is configured in whole or not at all; in prod development values are
 * refused. Whatever is wrong ends the process by config_refuse. */
void psp_accounts_check(psp_accounts_t *accounts, bool dev);
/* NULL when the PSP is not configured, which happens in prod only. Borrowed from `accounts`. */
const psp_account_t *psp_account_of(const psp_accounts_t *accounts, const psp_t *psp);

/* The next of a comma separated list, blanks around it left out; empty items are passed over. False
 * at the end. *rest begins as the whole list. */
bool psp_secret_next(str_t *rest, str_t *secret);

#endif
