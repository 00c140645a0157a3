/* openapi.h - the description of the public API (openapi.json), as bytes in the program. */
#ifndef TIFFIN_GATEWAY_OPENAPI_H
#define TIFFIN_GATEWAY_OPENAPI_H

#include <stddef.h>

/* Terminated; the size is without the NUL. */
extern const char openapi_json[];
extern const size_t openapi_json_size;

#endif
