/* psp_accounts.h - the table of all PSPs, and what a merchant configured for each.
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

/* One row per PSP, in priority order: registered spelling, prefix of its settings, its path at the
 * simulator, key id in development, connector, format of its own webhooks. `type` and `member` are
 * handed through. */
#define PSPS(ROW, type, member)                                                                   \
    ROW("Razorpay", "RAZORPAY", razorpay, "rzp_test_key", psp_connector_prototype,                \
        &psp_webhooks_razorpay, type, member),                                                    \
        ROW("Cashfree", "CASHFREE", cashfree, "cf_test_key", psp_connector_prototype, NULL, type, \
            member),                                                                              \
        ROW("Juspay", "JUSPAY", juspay, "jp_test_key", psp_connector_prototype, NULL, type,       \
            member)

/* PSP_INDEX_razorpay …, PSP_COUNT */
#define PSP_INDEX_ROW(title, prefix, path, test_key, connector, webhooks, type, member) \
    PSP_INDEX_##path
enum { PSPS(PSP_INDEX_ROW, , ), PSP_COUNT };
#undef PSP_INDEX_ROW

typedef struct psp_accounts {
    psp_account_t of[PSP_COUNT]; /* as the registry is ordered */
} psp_accounts_t;

/* Entries for a config table; `member` is the psp_accounts_t inside `type`. Types, members and
 * parts of literals cannot be put in parentheses. NOLINTBEGIN(bugprone-macro-parentheses) */
#define PSP_ACCOUNT_SETTINGS(type, member) PSPS(PSP_ACCOUNT_ROW, type, member)
#define PSP_ACCOUNT_ROW(title, prefix, path, test_key, connector, webhooks, type, member)        \
    CONFIG_TEXT(prefix "_BASE_URL", type, member.of[PSP_INDEX_##path].base_url, NULL, 0,         \
                "where " title "'s API is, without a slash at the end; in dev "                  \
                "http://127.0.0.1:8081/" #path),                                                 \
        CONFIG_TEXT(prefix "_KEY_ID", type, member.of[PSP_INDEX_##path].key_id, NULL, 0,         \
                    "key id at " title "; in dev " test_key),                                    \
        CONFIG_TEXT(prefix "_KEY_SECRET", type, member.of[PSP_INDEX_##path].key_secret, NULL,    \
                    CONFIG_SECRET, "key secret at " title "; in dev dev-secret"),                \
        CONFIG_TEXT(prefix "_WEBHOOK_SECRET", type, member.of[PSP_INDEX_##path].webhook_secrets, \
                    NULL, CONFIG_SECRET,                                                         \
                    "what " title " signs webhooks with; several, comma separated, while one "   \
                    "replaces another; in dev dev-secret")
/* NOLINTEND(bugprone-macro-parentheses) */

/* Once, after config_load. In dev what is not set gets its development value. In prod a PSP is
 * configured in whole or not at all, and development values are refused. Whatever is wrong ends the
 * process by config_refuse. */
void psp_accounts_check(psp_accounts_t *accounts, bool dev);
/* NULL when the PSP is not configured, which happens in prod only. Borrowed from `accounts`. */
const psp_account_t *psp_account_of(const psp_accounts_t *accounts, const psp_t *psp);

/* The next of a comma separated list, blanks around it left out; empty items are passed over. False
 * at the end. *rest begins as the whole list. */
bool psp_secret_next(str_t *rest, str_t *secret);

#endif
