/* sim_bank.h - what the simulated PSPs know: checkouts, what became of them, and the book of what
 * money moved. sim_refunds.h has the refunds of the same bank.
 *
 * Thread-safe. Nothing here reads a clock. Each change is in the journal before it is visible, so
 * that a process killed at any moment comes back with every change that it answered for.
 */
#ifndef TIFFIN_SERVICES_SIM_BANK_H
#define TIFFIN_SERVICES_SIM_BANK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/payment/psp.h"
#include "lib/payment/psp_accounts.h"
#include "lib/uuid.h"
#include "services/psp_sim/sim_book.h"
#include "services/psp_sim/sim_ref.h"

typedef struct sim_bank sim_bank_t;

#define SIM_URL_SIZE 2049
#define SIM_REFERENCE_SIZE 201

/* AUTHORIZED: paid where it is captured by hand; becomes PAID or VOIDED. */
typedef enum sim_state {
    SIM_PENDING,
    SIM_FAILED,
    SIM_PAID,
    SIM_AUTHORIZED,
    SIM_VOIDED
} sim_state_t;

/* One checkout at one PSP. Plain value. */
typedef struct sim_checkout {
    const psp_t *psp;
    uuid_t payment_id, order_id, attempt_id;
    char reference[SIM_REFERENCE_SIZE]; /* the merchant's own name of it, in the PSP's own API; ""
                                           in the prototype's, whose events it then gets */
    int64_t amount;
    char currency[4];
    char method[17];
    int64_t expires_at_us;
    /* The merchant's metadata (sim_notes.h), NULL for none, and those of what is paid, NULL where
     * they are the same. What the bank hands out lives as long as the bank. */
    const char *notes, *payment_notes;
    bool manual_capture;   /* who pays authorises: nothing moves until it is captured */
    bool nameless;         /* the merchant gave it no name: `reference` was made up here */
    bool one_name;         /* its transaction has its serial, from the start */
    bool shares_reference; /* others may have the same reference, which so does not find this one */
    uint64_t serial;       /* random; names the checkout */
    sim_state_t state;
    /* Once it is not pending: */
    uint64_t outcome_serial; /* random; names the transaction and its event */
    uint64_t second_serial;  /* PAID: of the second charge, where the customer was charged twice;
                                else 0 */
    int64_t outcome_amount;  /* of each charge */
    int64_t outcome_at_us;
    uint64_t conclusion_serial; /* names the call that captured or voided it; 0: it has no name */
} sim_checkout_t;

/* How a PSP charges whoever pays. */
typedef struct sim_terms {
    int64_t amount_delta; /* added to what is charged, at least 1 in all */
    bool twice;           /* two charges for one payment */
} sim_terms_t;

/* The metadata of what is paid; NULL for none. */
const char *sim_payment_notes(const sim_checkout_t *checkout);
/* "PENDING", "FAILED", "SUCCESS": as the PSP API says it. Static. */
const char *sim_state_name(sim_state_t state);

/* `journal_path` NULL: memory only. NULL with `detail` when the journal cannot be used. */
sim_bank_t *sim_bank_new(const char *journal_path, err_detail_t *detail);
void sim_bank_destroy(sim_bank_t **self_p);

/* Opens a checkout. *checkout comes in with psp, ids, amount, currency, method, expiry, and goes
 * out as it is on record. The attempt_id is the idempotency key: the same request again gives the
 * same checkout. ERR_ID_CONFLICT: the key came with other content; ERR_STORE_UNAVAILABLE: the
 * journal cannot be written. */
err_t sim_bank_open(sim_bank_t *self, sim_checkout_t *checkout, const char *return_url) MUST_CHECK;
/* What became of a payment: the checkout that was paid, else the newest. Of one PSP, or of all
 * (NULL). `return_url` may be NULL. ERR_PAYMENT_NOT_FOUND. */
err_t sim_bank_find(sim_bank_t *self, const uuid_t *payment_id, const psp_t *psp,
                    sim_checkout_t *checkout, char return_url[SIM_URL_SIZE]) MUST_CHECK;
/* The same, passing over those that share their reference. */
err_t sim_bank_find_named(sim_bank_t *self, const uuid_t *payment_id, const psp_t *psp,
                          sim_checkout_t *checkout) MUST_CHECK;
/* The checkout that the serial names, or one of whose charges it names, at this PSP.
 * ERR_PAYMENT_NOT_FOUND. */
err_t sim_bank_find_serial(sim_bank_t *self, uint64_t serial, const psp_t *psp,
                           sim_checkout_t *checkout) MUST_CHECK;
/* The customer pays at the newest checkout, on its PSP's terms (terms[psp index]). Also after a
 * failure. *moved is false when the payment was paid before: nothing moves twice. */
err_t sim_bank_pay(sim_bank_t *self, const uuid_t *payment_id, const sim_terms_t terms[PSP_COUNT],
                   int64_t now_us, sim_checkout_t *checkout, bool *moved) MUST_CHECK;
/* The same at the checkout that the serial names. */
err_t sim_bank_pay_at(sim_bank_t *self, const psp_t *psp, uint64_t serial,
                      const sim_terms_t terms[PSP_COUNT], int64_t now_us, sim_checkout_t *checkout,
                      bool *moved) MUST_CHECK;
/* The customer fails at the newest checkout. ERR_ORDER_NOT_PAYABLE when the payment is paid.
 * *changed is false when it had failed before. */
err_t sim_bank_fail(sim_bank_t *self, const uuid_t *payment_id, int64_t now_us,
                    sim_checkout_t *checkout, bool *changed) MUST_CHECK;
/* The same at the checkout that the serial names. */
err_t sim_bank_fail_at(sim_bank_t *self, const psp_t *psp, uint64_t serial, int64_t now_us,
                       sim_checkout_t *checkout, bool *changed) MUST_CHECK;
/* The merchant captures (SIM_PAID; `amount`, 0: all of it) or voids (SIM_VOIDED) what is
 * authorised. *checkout comes in with the conclusion_serial that it gets. ERR_PAYMENT_NOT_FOUND;
 * ERR_UNPROCESSABLE: it is not authorised, or for less; *checkout is then as it stands. */
err_t sim_bank_conclude(sim_bank_t *self, const psp_t *psp, uint64_t serial, sim_state_t becomes,
                        int64_t amount, int64_t now_us, sim_checkout_t *checkout) MUST_CHECK;
/* A JSON array of what was moved, in that order; of one payment, or all (NULL). */
void sim_bank_book(sim_bank_t *self, const uuid_t *payment_id, buf_t *body);
/* The rows of this PSP's book from a time on and before another, `skip` of them passed over, at
 * most `at_most`; how many. */
size_t sim_bank_movements(sim_bank_t *self, const psp_t *psp, int64_t from_us, int64_t before_us,
                          size_t skip, sim_book_row_t *rows, size_t at_most);
/* Forgets everything. */
err_t sim_bank_reset(sim_bank_t *self) MUST_CHECK;

#endif
