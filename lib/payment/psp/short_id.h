/* short_id.h - our ids for PSPs that take 25 characters: the 128 bits of a UUID as 22 letters and
 * digits. */
#ifndef TIFFIN_LIB_PAYMENT_PSP_SHORT_ID_H
#define TIFFIN_LIB_PAYMENT_PSP_SHORT_ID_H

#include <stdbool.h>

#include "lib/text.h"
#include "lib/uuid.h"

#define SHORT_ID_SIZE 23

/* Terminated; returns `text`. */
const char *short_id_format(const uuid_t *id, char text[SHORT_ID_SIZE]);
/* False for what short_id_format never writes. */
bool short_id_parse(str_t text, uuid_t *id);

#endif
