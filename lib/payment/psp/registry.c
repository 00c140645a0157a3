/* registry.c - which PSPs there are, in priority order. The rows are PSPS of psp_accounts.h. */
#include <strings.h>

#include "lib/payment/psp/connector.h"
#include "lib/payment/psp_accounts.h"

#define ROW(title, prefix, path, test_key, connector, webhooks, type, member) \
    {                                                                         \
        title, &(connector), webhooks                                         \
    }
static const psp_t registry[PSP_COUNT] = {PSPS(ROW, , )};
#undef ROW

size_t psp_count(void)
{
    return PSP_COUNT;
}

const psp_t *psp_at(size_t index)
{
    CHECK(index < PSP_COUNT);
    return &registry[index];
}

const psp_t *psp_find(str_t name)
{
    for (size_t i = 0; i < PSP_COUNT; i++) {
        str_t known = str_of(registry[i].name);
        if (name.size == known.size && strncasecmp(name.data, known.data, known.size) == 0)
            return &registry[i];
    }
    return NULL;
}

const char *psp_name(const psp_t *psp)
{
    return psp->name;
}
