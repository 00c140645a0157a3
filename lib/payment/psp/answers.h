/* answers.h - what the connectors have in common when they ask a PSP and read its answer. Included
 * by lib/payment only. */
#ifndef TIFFIN_LIB_PAYMENT_PSP_ANSWERS_H
#define TIFFIN_LIB_PAYMENT_PSP_ANSWERS_H

#include "lib/payment/psp.h"

/* ---- requests ---- */

/* HTTP Basic (RFC 7617). `user` may not hold a colon; `password` NULL: the user alone, without the
 * colon. */
void psp_add_basic(const char *user, const char *password, http_client_request_t *request);

/* A PSP's name of something as one segment of a path: what is not a letter, a digit or one of
 * "-._~" is escaped. Returns `segment`. */
#define PSP_SEGMENT_SIZE (3ul * PSP_REF_SIZE)
const char *psp_path_segment(const char *ref, char segment[PSP_SEGMENT_SIZE]);

/* When the attempt began, by the time in its id; now, when that is no UUID of version 7. Bounds
 * that are reckoned from here are the same when the request is sent again under the same key. */
int64_t psp_attempt_began_us(const psp_checkout_t *checkout);

/* ---- opening a checkout ---- */

/* The PSP has answered, with a 2xx. */
bool psp_checkout_is_answered(const http_client_response_t *response);
/* Anything else: REFUSED where nothing can have been opened (no connection, 4xx, 503), else
 * UNKNOWN; whose fault it is by the status; the reason is "HTTP 422: words", the words only where
 * they are printable. A connector that knows better by the PSP's error code sets `fault`
 * afterwards. */
void psp_checkout_failed(const http_client_response_t *response, str_t words,
                         psp_checkout_answer_t *answer);
/* A 2xx that is nonsense: UNKNOWN. */
void psp_checkout_not_understood(psp_checkout_answer_t *answer);
/* A whole URL that may go to a browser: printable ASCII, http or https, below `capacity` bytes. */
bool psp_is_url(str_t text, size_t capacity);

/* ---- status ---- */

/* The PSP does not know the payment (yet): kind NONE. */
void psp_status_unknown(const psp_payment_t *payment, psp_report_t *report);
/* The PSP knows it, and nothing has happened: kind NONE. `words` may be {NULL, 0}. */
void psp_status_pending(const psp_payment_t *payment, str_t words, psp_report_t *report);
/* ERR_MALFORMED_WEBHOOK, "HTTP 500 is no status answer". */
err_t psp_status_refused(int http_status, err_detail_t *detail) MUST_CHECK;

/* The same answer gives the same id: asking again what is known is a duplicate. `prefix` says what
 * was asked: "status", "refund". Last, when the rest of the report is filled. */
void psp_derive_event_id(const char *prefix, psp_report_t *report);

/* ---- refunds ---- */

/* All that a PSP has made of a payment's refunds, and this one is not among them: kind NONE. */
void psp_refund_absent(const psp_refund_t *asked, psp_report_t *report);
/* An answer of another status than 2xx. REFUND_FAILED for good where it is a refusal, with the
 * PSP's words and a psp_ref of ours ("refused-<refund_id>"): the PSP gives none, and some name a
 * refund by our id, of which a refusal of one call must not say that it failed (what failed under a
 * reference counts as not made, db/001_tables.sql); ERR_MALFORMED_WEBHOOK where it says nothing
 * about the refund itself (our key or the moment is wrong, the PSP has trouble): it is to be asked
 * again. Derives no event id. */
err_t psp_refund_refused(const psp_refund_t *asked, int http_status, str_t words,
                         psp_report_t *report, err_detail_t *detail) MUST_CHECK;

#endif
