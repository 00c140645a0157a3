/* psp_client.h - calls to PSPs: an http_client_t that has the access token ready where a PSP wants
 * one.
 *
 * A token is asked for when the first call needs it and kept until shortly before it ends, or until
 * the PSP refuses it (401); calls that come meanwhile wait for it. A call whose token cannot be had
 * comes back as one that could not be made (ERR_HTTP_UNREACHABLE): nothing was sent. What an
 * answer repeats of our keys is hidden before it is given out (psp_echo.h). One thread owns it.
 */
#ifndef TIFFIN_LIB_PAYMENT_PSP_CLIENT_H
#define TIFFIN_LIB_PAYMENT_PSP_CLIENT_H

#include "lib/http_client.h"
#include "lib/payment/psp_accounts.h"

typedef struct psp_client psp_client_t;

/* `accounts` is borrowed for the client's life. */
psp_client_t *psp_client_new(const psp_accounts_t *accounts, unsigned concurrent_max);
void psp_client_destroy(psp_client_t **self_p);
/* As http_client_submit, to a PSP that is configured. */
void psp_client_submit(psp_client_t *self, const psp_t *psp, http_client_request_t *request,
                       void *cookie);
/* As http_client_fd and http_client_next: take all that there are whenever it is readable. */
int psp_client_fd(const psp_client_t *self);
bool psp_client_next(psp_client_t *self, void **cookie, http_client_response_t *response);

/* What all clients of the process have ended so far, as Prometheus text:
 * tiffin_psp_calls_total{psp,outcome} and tiffin_psp_call_duration_seconds{psp}. `unused` makes it
 * a service_t.print_metrics. Any thread. */
void psp_client_print_metrics(void *unused, buf_t *text);

#endif
