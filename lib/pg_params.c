/* pg_params.c - parameters of a statement in PostgreSQL's binary format (the types' send/recv
 * functions).
 *
 * Integers are big-endian. An array is: dimensions, "has NULLs", element type, then per dimension
 * size and lower bound, then each element as size (-1: NULL) and bytes. Its header is kept right
 * while elements are added, so nothing has to be finished.
 */
#include "lib/pg.h"

#include <string.h>

enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_BOOL_ARRAY = 1000,
    OID_BYTEA_ARRAY = 1001,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
    OID_UUID = 2950,
    OID_UUID_ARRAY = 2951,

    PARAM_MAX_BYTES = 32 << 20, /* one parameter; a batch over it is refused and split */
    ARRAY_HAS_NULL_AT = 4,      /* in the array's header */
    ARRAY_COUNT_AT = 12,
};

static const struct {
    Oid array;
    Oid element;
} array_types[] = {
    [PG_ARRAY_INT8] = {OID_INT8_ARRAY, OID_INT8},    [PG_ARRAY_INT4] = {OID_INT4_ARRAY, OID_INT4},
    [PG_ARRAY_TEXT] = {OID_TEXT_ARRAY, OID_TEXT},    [PG_ARRAY_UUID] = {OID_UUID_ARRAY, OID_UUID},
    [PG_ARRAY_BYTEA] = {OID_BYTEA_ARRAY, OID_BYTEA}, [PG_ARRAY_BOOL] = {OID_BOOL_ARRAY, OID_BOOL},
};

static void put_u32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void add_u32(buf_t *buf, uint32_t value)
{
    uint8_t bytes[4];
    put_u32(bytes, value);
    buf_add(buf, bytes, sizeof(bytes));
}

static void add_u64(buf_t *buf, uint64_t value)
{
    add_u32(buf, (uint32_t)(value >> 32));
    add_u32(buf, (uint32_t)value);
}

void pg_params_reset(pg_params_t *params)
{
    params->count = 0;
}

void pg_params_free(pg_params_t *params)
{
    for (int i = 0; i < PG_PARAMS_MAX; i++)
        buf_free(&params->values[i]);
    params->count = 0;
}

/* The next parameter, empty. */
static int next_param(pg_params_t *params, Oid type)
{
    CHECK(params->count < PG_PARAMS_MAX);
    int i = params->count++;
    params->types[i] = type;
    params->is_null[i] = false;
    params->array_count[i] = 0;
    if (params->values[i].limit == 0)
        buf_init(&params->values[i], PARAM_MAX_BYTES);
    else
        buf_clear(&params->values[i]);
    return i;
}

void pg_param_int8(pg_params_t *params, int64_t value)
{
    int i = next_param(params, OID_INT8);
    add_u64(&params->values[i], (uint64_t)value);
}

void pg_param_null_int8(pg_params_t *params)
{
    params->is_null[next_param(params, OID_INT8)] = true;
}

void pg_param_int4(pg_params_t *params, int32_t value)
{
    int i = next_param(params, OID_INT4);
    add_u32(&params->values[i], (uint32_t)value);
}

static void param_bytes(pg_params_t *params, Oid type, const void *data, size_t size)
{
    int i = next_param(params, type);
    params->is_null[i] = data == NULL;
    if (data)
        buf_add(&params->values[i], data, size);
}

void pg_param_text(pg_params_t *params, str_t value)
{
    param_bytes(params, OID_TEXT, value.data, value.size);
}

void pg_param_bytea(pg_params_t *params, str_t value)
{
    param_bytes(params, OID_BYTEA, value.data, value.size);
}

void pg_param_uuid(pg_params_t *params, const uuid_t *value)
{
    param_bytes(params, OID_UUID, value ? value->bytes : NULL, sizeof(value->bytes));
}

void pg_param_bool(pg_params_t *params, bool value)
{
    uint8_t byte = value;
    param_bytes(params, OID_BOOL, &byte, 1);
}

int pg_array_begin(pg_params_t *params, pg_array_type_t type)
{
    int i = next_param(params, array_types[type].array);
    buf_t *value = &params->values[i];
    add_u32(value, 1); /* dimensions */
    add_u32(value, 0); /* NULLs */
    add_u32(value, array_types[type].element);
    add_u32(value, 0); /* elements; none in one dimension is the empty array */
    add_u32(value, 1); /* lower bound */
    return i;
}

/* Counts one more element and returns where its bytes go. `a` and `b`: the types that may be added.
 */
static buf_t *next_element(pg_params_t *params, int array, pg_array_type_t a, pg_array_type_t b)
{
    CHECK(array >= 0 && array < params->count);
    Oid type = params->types[array];
    CHECK(type == array_types[a].array || type == array_types[b].array);
    buf_t *value = &params->values[array];
    if (!value->overflow)
        put_u32((uint8_t *)value->data + ARRAY_COUNT_AT, ++params->array_count[array]);
    return value;
}

static void add_null_element(buf_t *value)
{
    if (!value->overflow)
        put_u32((uint8_t *)value->data + ARRAY_HAS_NULL_AT, 1);
    add_u32(value, UINT32_MAX);
}

void pg_array_add_int8(pg_params_t *params, int array, int64_t element)
{
    buf_t *value = next_element(params, array, PG_ARRAY_INT8, PG_ARRAY_INT8);
    add_u32(value, 8);
    add_u64(value, (uint64_t)element);
}

void pg_array_add_int4(pg_params_t *params, int array, int32_t element)
{
    buf_t *value = next_element(params, array, PG_ARRAY_INT4, PG_ARRAY_INT4);
    add_u32(value, 4);
    add_u32(value, (uint32_t)element);
}

void pg_array_add_text(pg_params_t *params, int array, str_t element)
{
    buf_t *value = next_element(params, array, PG_ARRAY_TEXT, PG_ARRAY_BYTEA);
    if (!element.data) {
        add_null_element(value);
        return;
    }
    add_u32(value, element.size);
    buf_add(value, element.data, element.size);
}

void pg_array_add_uuid(pg_params_t *params, int array, const uuid_t *element)
{
    buf_t *value = next_element(params, array, PG_ARRAY_UUID, PG_ARRAY_UUID);
    if (!element) {
        add_null_element(value);
        return;
    }
    add_u32(value, sizeof(element->bytes));
    buf_add(value, element->bytes, sizeof(element->bytes));
}

void pg_array_add_bool(pg_params_t *params, int array, bool element)
{
    buf_t *value = next_element(params, array, PG_ARRAY_BOOL, PG_ARRAY_BOOL);
    uint8_t byte = element;
    add_u32(value, 1);
    buf_add(value, &byte, 1);
}

void pg_array_add_null(pg_params_t *params, int array)
{
    CHECK(array >= 0 && array < params->count);
    buf_t *value = &params->values[array];
    if (!value->overflow)
        put_u32((uint8_t *)value->data + ARRAY_COUNT_AT, ++params->array_count[array]);
    add_null_element(value);
}
