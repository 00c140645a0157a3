/* invariants.h - db/invariants.sql for tests of single parts: what must hold after whatever was
 * done to the database. */
#ifndef TIFFIN_TESTS_INVARIANTS_H
#define TIFFIN_TESTS_INVARIANTS_H

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/test_main.h"

static inline void assert_invariants_hold(PGconn *pg)
{
    FILE *file = fopen(TIFFIN_SOURCE_DIR "/db/invariants.sql", "r");
    assert_non_null(file);
    char line[1024], statement[8192] = "", name[1024] = "";
    int checked = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "--", 2) == 0) {
            snprintf(name, sizeof name, "%s", line);
            continue;
        }
        assert_true(strlen(statement) + strlen(line) < sizeof statement);
        strcat(statement, line);
        if (strrchr(statement, ';') == NULL)
            continue;
        PGresult *broken = PQexec(pg, statement);
        if (PQresultStatus(broken) != PGRES_TUPLES_OK)
            fail_msg("%s: %s", PQerrorMessage(pg), statement);
        const int rows = PQntuples(broken);
        char first[256];
        snprintf(first, sizeof first, "%s", rows > 0 ? PQgetvalue(broken, 0, 0) : "");
        PQclear(broken);
        if (rows > 0)
            fail_msg("broken %s (%d rows, the first: %s)", name, rows, first);
        statement[0] = '\0';
        checked++;
    }
    fclose(file);
    assert_true(checked >= 10);
}

#endif
