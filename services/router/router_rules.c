/* router_rules.c - see router_rules.h.
 *
 * A refused call and one whose outcome is not known are treated alike: nobody has the URL of a
 * checkout that we do not know of, so that opening another elsewhere cannot charge a customer
 * twice.
 */
#include "services/router/router_rules.h"

#include <string.h>

typedef enum condition { NO, YES, ANY } condition_t;

/* The first row whose conditions hold decides. */
static const struct decision {
    condition_t ok;       /* the request can be carried out */
    condition_t open;     /* a checkout is open */
    condition_t given_up; /* every PSP failed before */
    condition_t answered; /* the newest attempt has ended */
    condition_t psp_left; /* another PSP may be tried */
    condition_t time_left;
    router_step_t step;
} decisions[] = {
    /* ok  open given answd left time */
    {NO, ANY, ANY, ANY, ANY, ANY, ROUTER_STEP_REFUSE},
    {YES, YES, ANY, ANY, ANY, ANY, ROUTER_STEP_ANSWER_OPEN},
    {YES, NO, YES, ANY, ANY, ANY, ROUTER_STEP_ANSWER_NO_PSP},
    {YES, NO, NO, NO, ANY, YES, ROUTER_STEP_CALL},
    {YES, NO, NO, NO, ANY, NO, ROUTER_STEP_ANSWER_DEADLINE},
    {YES, NO, NO, YES, NO, ANY, ROUTER_STEP_GIVE_UP},
    {YES, NO, NO, YES, YES, YES, ROUTER_STEP_TRY_NEXT},
    {YES, NO, NO, YES, YES, NO, ROUTER_STEP_ANSWER_LATE},
};

static bool meets(condition_t wanted, bool is)
{
    return wanted == ANY || (wanted == YES) == is;
}

router_step_t router_step(const router_position_t *position, bool psp_left, bool time_left)
{
    for (size_t i = 0; i < sizeof decisions / sizeof *decisions; i++) {
        const struct decision *row = &decisions[i];
        if (meets(row->ok, position->verdict == ROUTER_OK) &&
            meets(row->open, position->checkout_url[0] != '\0') &&
            meets(row->given_up, position->given_up) && meets(row->answered, position->answered) &&
            meets(row->psp_left, psp_left) && meets(row->time_left, time_left))
            return row->step;
    }
    CHECK(false && "the table covers every case");
    return ROUTER_STEP_REFUSE;
}

bool router_psp_is_listed(const char *psps, const psp_t *psp)
{
    const char *name = psp_name(psp);
    const size_t size = strlen(name);
    for (const char *at = psps; *at != '\0';) {
        const size_t entry_size = strcspn(at, ",");
        if (entry_size == size && memcmp(at, name, size) == 0)
            return true;
        at += entry_size;
        at += *at == ',' ? 1 : 0;
    }
    return false;
}

void router_psps_init(router_psps_t *psps, const psp_accounts_t *accounts)
{
    psps->count = 0;
    for (size_t i = 0; i < psp_count(); i++) {
        const psp_account_t *account = psp_account_of(accounts, psp_at(i));
        if (account == NULL)
            continue;
        psps->unasked[psps->count] = account->given || i <= PSP_INDEX_juspay;
        psps->by_hand[psps->count] = psp_takes_manual_capture(psp_at(i), account);
        psps->of[psps->count++] = psp_at(i);
    }
}

const psp_t *router_psps_find(const router_psps_t *psps, const char *name)
{
    const psp_t *psp = psp_find(str_of(name));
    for (size_t i = 0; i < psps->count; i++)
        if (psps->of[i] == psp)
            return psp;
    return NULL;
}

uint32_t router_call_timeout_ms(int64_t left_ms, int64_t per_call_ms)
{
    const int64_t usable_ms = left_ms - ROUTER_RECORD_MARGIN_MS;
    if (usable_ms < ROUTER_CALL_LEAST_MS)
        return 0;
    return (uint32_t)(usable_ms < per_call_ms ? usable_ms : per_call_ms);
}

err_t router_verdict_err(router_verdict_t verdict)
{
    switch (verdict) {
    case ROUTER_OK:
        return ERR_OK;
    case ROUTER_ORDER_NOT_FOUND:
        return ERR_ORDER_NOT_FOUND;
    case ROUTER_ORDER_NOT_PAYABLE:
        return ERR_ORDER_NOT_PAYABLE;
    case ROUTER_ID_CONFLICT:
        return ERR_ID_CONFLICT;
    case ROUTER_KEY_REUSED:
        return ERR_IDEMPOTENCY_KEY_REUSED;
    case ROUTER_KEY_IN_FLIGHT:
        return ERR_IDEMPOTENCY_KEY_IN_FLIGHT;
    }
    return ERR_INTERNAL;
}
