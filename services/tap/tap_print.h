/* tap_print.h - messages as lines: for people, and as JSON for programs. Pure but for the time
 * zone. */
#ifndef TIFFIN_TAP_PRINT_H
#define TIFFIN_TAP_PRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "services/tap/tap_message.h"

/* Each adds one line with its newline. Nothing a peer sent reaches the terminal unescaped. */

/* "14:02:11.123   +0.004 → order.create      order_id=…"; the delta is to `previous_us`, 0: none.
 */
void tap_print_human(const tap_message_t *message, int64_t previous_us, bool color, buf_t *line);
void tap_print_json(const tap_message_t *message, buf_t *line);
/* "-- 412 lost --" */
void tap_print_lost(str_t gateway, int64_t lost, bool json, bool color, buf_t *line);

#endif
