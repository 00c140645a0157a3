/* pg_result.c - columns of a result in PostgreSQL's binary format.
 *
 * The SQL is ours, so a column of another type than the one asked for is a bug of ours and CHECKed;
 * so is a NULL where a number, a UUID or a time is asked for without pg_is_null() first.
 */
#include "lib/pg.h"

#include <string.h>

enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_JSON = 114,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_NAME = 19,
    OID_TIMESTAMPTZ = 1184,
    OID_UUID = 2950,
};

#define EPOCH_2000_US INT64_C(946684800000000) /* PostgreSQL counts from 2000-01-01T00:00:00Z */

static void check_place(const PGresult *result, int row, int column)
{
    CHECK(row >= 0 && row < PQntuples(result) && column >= 0 && column < PQnfields(result));
    CHECK(PQfformat(result, column) == 1);
}

/* The `size` bytes of a value that is not NULL, as a big-endian integer with its sign. */
static int64_t get_integer(const PGresult *result, int row, int column, int size)
{
    CHECK(PQgetlength(result, row, column) == size);
    const char *bytes = PQgetvalue(result, row, column);
    uint64_t value = (uint8_t)bytes[0] & 0x80 ? UINT64_MAX : 0;
    for (int i = 0; i < size; i++)
        value = value << 8 | (uint8_t)bytes[i];
    return (int64_t)value;
}

bool pg_is_null(const PGresult *result, int row, int column)
{
    check_place(result, row, column);
    return PQgetisnull(result, row, column) == 1;
}

int64_t pg_get_int8(const PGresult *result, int row, int column)
{
    CHECK(!pg_is_null(result, row, column));
    Oid type = PQftype(result, column);
    CHECK(type == OID_INT8 || type == OID_INT4 || type == OID_INT2);
    return get_integer(result, row, column, type == OID_INT8 ? 8 : type == OID_INT4 ? 4 : 2);
}

bool pg_get_bool(const PGresult *result, int row, int column)
{
    CHECK(!pg_is_null(result, row, column) && PQftype(result, column) == OID_BOOL);
    return get_integer(result, row, column, 1) != 0;
}

str_t pg_get_text(const PGresult *result, int row, int column)
{
    if (pg_is_null(result, row, column))
        return (str_t){NULL, 0};
    Oid type = PQftype(result, column);
    CHECK(type == OID_TEXT || type == OID_VARCHAR || type == OID_BPCHAR || type == OID_NAME ||
          type == OID_JSON || type == OID_BYTEA);
    return (str_t){PQgetvalue(result, row, column), (uint32_t)PQgetlength(result, row, column)};
}

uuid_t pg_get_uuid(const PGresult *result, int row, int column)
{
    uuid_t uuid;
    CHECK(!pg_is_null(result, row, column) && PQftype(result, column) == OID_UUID);
    CHECK(PQgetlength(result, row, column) == (int)sizeof(uuid.bytes));
    memcpy(uuid.bytes, PQgetvalue(result, row, column), sizeof(uuid.bytes));
    return uuid;
}

int64_t pg_get_time_us(const PGresult *result, int row, int column)
{
    CHECK(!pg_is_null(result, row, column) && PQftype(result, column) == OID_TIMESTAMPTZ);
    int64_t since_2000_us = get_integer(result, row, column, 8);
    if (since_2000_us > INT64_MAX - EPOCH_2000_US)
        return INT64_MAX; /* 'infinity' */
    return since_2000_us + EPOCH_2000_US;
}
