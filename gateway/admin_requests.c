/* admin_requests.c - see admin_requests.h. */
#include "gateway/admin_requests.h"

#include <string.h>

#include "gateway/requests.h"
#include "lib/payment/psp.h"

enum {
    REASON_CHARACTERS_MAX = 32,
    PSP_NAME_CHARACTERS_MAX = 32,
    ROW_ID_SIZE = 24,
    NAME_SHOWN_SIZE = 65, /* of a parameter that is not known */
};

static const char *const discrepancy_states[] = {"open", "settled", NULL};

/* As the table of discrepancies allows. */
static const char *const discrepancy_kinds[] = {"amount_mismatch",
                                                "observation_conflict",
                                                "unapplied_capture",
                                                "success_after_failure",
                                                "capture_undone",
                                                "unknown_reference",
                                                "order_mismatch",
                                                "reference_conflict",
                                                "refund_refused",
                                                "refund_unknown",
                                                "refund_over_captured",
                                                "refund_mismatch",
                                                "refund_failed_after_success",
                                                "dispute_opened",
                                                "dispute_lost",
                                                "dispute_after_refund",
                                                NULL};

err_t admin_row_id(str_t text, int64_t *id, err_detail_t *detail)
{
    char digits[ROW_ID_SIZE];
    if (text.size >= sizeof digits ||
        !request_event_id(str_copy(text, digits, sizeof digits), id) || *id < 1)
        return err_set(detail, ERR_NOT_FOUND, "there is no such row");
    return ERR_OK;
}

/* ---- parameters ---- */

static err_t query_names(const http_request_t *request, const char *const *names,
                         err_detail_t *detail)
{
    char offender[NAME_SHOWN_SIZE];
    if (!http_query_known(request, names, offender, sizeof offender))
        return err_set(detail, ERR_INVALID_QUERY, "%s is not a parameter of this call", offender);
    return ERR_OK;
}

/* `cursor`: 0 when it is not there. */
static err_t query_cursor(const http_request_t *request, int64_t *before, err_detail_t *detail)
{
    char text[ROW_ID_SIZE];
    const int found = http_query(request, "cursor", text, sizeof text);
    *before = 0;
    if (found < 0 || (found > 0 && (!request_event_id(text, before) || *before < 1)))
        return err_set(detail, ERR_INVALID_QUERY, "cursor is not the next_cursor of a page");
    return ERR_OK;
}

/* In its registered spelling. */
static err_t query_psp(const http_request_t *request, str_t *name, err_detail_t *detail)
{
    char text[4 * PSP_NAME_CHARACTERS_MAX + 1];
    str_t given;
    TRY(request_query_text(request, "gateway", PSP_NAME_CHARACTERS_MAX, text, sizeof text, &given,
                           detail));
    if (given.data == NULL)
        return ERR_OK;
    const psp_t *psp = psp_find(given);
    if (psp == NULL)
        return err_set(detail, ERR_INVALID_QUERY, "gateway is not a payment gateway we know");
    *name = str_of(psp_name(psp));
    return ERR_OK;
}

/* One of `words` (NULL-ended); *word is {NULL, 0} when it is not there. */
static err_t query_word(const http_request_t *request, const char *name, const char *const *words,
                        char *buffer, size_t capacity, str_t *word, err_detail_t *detail)
{
    const int found = http_query(request, name, buffer, capacity);
    *word = (str_t){NULL, 0};
    if (found == 0)
        return ERR_OK;
    for (; found > 0 && *words != NULL; words++)
        if (strcmp(buffer, *words) == 0) {
            *word = str_of(buffer);
            return ERR_OK;
        }
    return err_set(detail, ERR_INVALID_QUERY, "%s is none that there is", name);
}

/* The nil UUID would mean "of any payment" further on. */
static err_t query_payment_id(const http_request_t *request, uuid_t *payment_id,
                              err_detail_t *detail)
{
    char text[UUID_TEXT_SIZE];
    const int found = http_query(request, "payment_id", text, sizeof text);
    if (found == 0)
        return ERR_OK;
    if (found < 0 || !uuid_parse(text, strlen(text), payment_id) || uuid_is_nil(payment_id))
        return err_set(detail, ERR_INVALID_QUERY, "payment_id is not the UUID of a payment");
    return ERR_OK;
}

/* ---- the calls ---- */

err_t admin_dead_letter_list(const http_request_t *request, dead_letter_query_t *texts,
                             dead_letter_list_t *list, err_detail_t *detail)
{
    static const char *const names[] = {"gateway", "reason", "limit", "cursor", NULL};
    *list = (dead_letter_list_t){0};
    TRY(query_names(request, names, detail));
    TRY(query_psp(request, &list->psp, detail));
    TRY(request_query_text(request, "reason", REASON_CHARACTERS_MAX, texts->reason,
                           sizeof texts->reason, &list->reason, detail));
    TRY(request_query_limit(request, &list->limit, detail));
    return query_cursor(request, &list->before, detail);
}

err_t admin_discrepancy_list(const http_request_t *request, discrepancy_query_t *texts,
                             discrepancy_list_t *list, err_detail_t *detail)
{
    static const char *const names[] = {"state", "kind", "payment_id", "limit", "cursor", NULL};
    *list = (discrepancy_list_t){0};
    TRY(query_names(request, names, detail));
    TRY(query_word(request, "state", discrepancy_states, texts->state, sizeof texts->state,
                   &list->state, detail));
    TRY(query_word(request, "kind", discrepancy_kinds, texts->kind, sizeof texts->kind, &list->kind,
                   detail));
    TRY(query_payment_id(request, &list->payment_id, detail));
    TRY(request_query_limit(request, &list->limit, detail));
    return query_cursor(request, &list->before, detail);
}

err_t admin_reconciliation_list(const http_request_t *request, reconciliation_list_t *list,
                                err_detail_t *detail)
{
    static const char *const names[] = {"limit", "cursor", NULL};
    *list = (reconciliation_list_t){0};
    TRY(query_names(request, names, detail));
    TRY(request_query_limit(request, &list->limit, detail));
    return query_cursor(request, &list->before, detail);
}
