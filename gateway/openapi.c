/* openapi.c - openapi.json as bytes in the program: GET /openapi.json can then never tell of
 * another build, and needs no file where it runs.
 *
 * The assembler includes the file: a C array of it would be a generated source, and slow to
 * compile. The build says where it is (TIFFIN_OPENAPI_JSON) and compiles this again when it
 * changes.
 */
#include "gateway/openapi.h"

_Static_assert(sizeof(size_t) == 8, "the size below is 8 bytes");

__asm__(".pushsection .rodata\n"
        ".balign 8\n"
        ".global openapi_json_size\n"
        ".type openapi_json_size, %object\n"
        ".size openapi_json_size, 8\n"
        "openapi_json_size:\n"
        ".quad openapi_json_end - openapi_json\n"
        ".global openapi_json\n"
        ".type openapi_json, %object\n"
        "openapi_json:\n"
        ".incbin \"" TIFFIN_OPENAPI_JSON "\"\n"
        "openapi_json_end:\n"
        ".byte 0\n"
        ".size openapi_json, . - openapi_json\n"
        ".popsection\n");
