/* sim_notes.h - what a merchant hangs onto its objects at a PSP: metadata, notes, tags, udf fields.
 * Kept as the text of one JSON object, and given back as it came. Pure. */
#ifndef TIFFIN_SERVICES_SIM_NOTES_H
#define TIFFIN_SERVICES_SIM_NOTES_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/buf.h"

/* How much of it a PSP takes; 0: as much as there is. */
typedef struct sim_notes_limits {
    size_t pairs, name, value; /* names and values in characters */
} sim_notes_limits_t;

/* All of these add nothing to `notes` where nothing was given: notes->data stays NULL. */

/* The member `name` of the request, an object. */
void sim_notes_of_json(const json_t *root, const char *name, buf_t *notes);
/* The same of a form, whose fields are "name[key]=value". */
void sim_notes_of_form(str_t form, const char *name, buf_t *notes);
/* The members, or the form's fields, "udf1" to "udf<count>". */
void sim_notes_of_udfs(const json_t *root, str_t form, unsigned count, buf_t *notes);

/* `notes` may be NULL in all of these. */

bool sim_notes_within(const char *notes, const sim_notes_limits_t *limits);
/* A member that is the notes, or `nothing`, which is JSON. */
void sim_notes_write(buf_t *body, const char *key, const char *notes, const char *nothing);
/* The notes as an object; decref it. NULL: there are none. */
json_t *sim_notes_read(const char *notes);
/* The text of a note; "" when it is not there. Its caller's. */
char *sim_notes_text(const char *notes, const char *name);

#endif
