#!/bin/bash
# migrate.sh - brings a database up to date: db/roles.sql, then each db/NNN_name.sql that table schema_migrations does not name,
# in order, each in one transaction with its row there. Safe to run again, and by several at once: an advisory lock lets the
# others wait. A database where a file was applied that is another now, or is not there, is refused before anything is changed.
#
#   DATABASE_URL         of whoever owns what the migrations make and may create roles, or
#   DATABASE_URL_FILE    a file that holds it, or
#   PGHOST, PGUSER, …    psql's own variables; PGPASSWORD_FILE may name a file that holds the password. A password in
#                        DATABASE_URL is in the list of processes while psql runs, this one is not
#   ROLE_PASSWORDS_DIR   optional: each file <role>.password there holds that role's password from now on
#   MIGRATIONS_DIR       where the SQL is (default: db/ beside deploy/)
#
# Exit status: 0 when all is applied; 78 bad configuration; else psql's, and nothing is left of the file that failed.
set -euo pipefail

directory=${MIGRATIONS_DIR:-$(cd -- "$(dirname -- "$(realpath -- "${BASH_SOURCE[0]}")")/../db" && pwd)}

refuse() {
    printf 'migrate.sh: %s\n' "$1" >&2
    exit 78
}

connection=()
if [ -n "${DATABASE_URL:-}" ]; then
    connection=("$DATABASE_URL")
elif [ -n "${DATABASE_URL_FILE:-}" ]; then
    connection=("$(<"$DATABASE_URL_FILE")")
elif [ -z "${PGHOST:-}${PGDATABASE:-}${PGSERVICE:-}" ]; then
    refuse "none of DATABASE_URL, DATABASE_URL_FILE, PGHOST, PGDATABASE, PGSERVICE is set"
fi
if [ -n "${PGPASSWORD_FILE:-}" ]; then
    PGPASSWORD=$(<"$PGPASSWORD_FILE")
    export PGPASSWORD
fi
[ -f "$directory/roles.sql" ] || refuse "MIGRATIONS_DIR: $directory has no roles.sql"

# A text as a literal of SQL, and as a word of psql's own commands.
quoted() { printf "'%s'" "${1//\'/\'\'}"; }

sum_of() {
    local sum
    sum=$(sha256sum <"$1")
    printf '%s' "${sum%% *}"
}

# Before anything is changed: whatever was applied here is what the files say, and there is a file for it.
refuse_other_versions() {
    local file files=''
    for file in "$directory"/[0-9]*.sql; do
        files+="${files:+, }($(quoted "$(basename "$file" .sql)"), $(quoted "$(sum_of "$file")"))"
    done
    cat <<SQL
DO \$\$
DECLARE
    names text;
BEGIN
    SELECT string_agg(name, ', ' ORDER BY name) INTO names
    FROM schema_migrations AS applied LEFT JOIN (VALUES $files) AS file (name, sum) USING (name)
    WHERE file.sum IS DISTINCT FROM applied.sha256 OR file.sum IS NULL;
    IF names IS NOT NULL THEN
        RAISE EXCEPTION 'this database is of another version of Tiffin: what was applied here differs from the files: %', names;
    END IF;
END
\$\$;
SQL
}

# What psql runs, in one session: it holds the lock from the first statement to its end.
script() {
    local file name role
    cat <<'END'
SET client_min_messages = warning;
SET lock_timeout = '60s';
\o /dev/null
SELECT pg_advisory_lock(7346);
\o
END
    cat <<'END'
CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now(), sha256 text);
ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS sha256 text;
END
    refuse_other_versions
    printf '\\i %s\n' "$(quoted "$directory/roles.sql")"
    for file in "$directory"/[0-9]*.sql; do
        name=$(basename "$file" .sql)
        cat <<END
SELECT EXISTS (SELECT FROM schema_migrations WHERE name = $(quoted "$name")) AS applied \\gset
\\if :applied
\\else
BEGIN;
\\i $(quoted "$file")
INSERT INTO schema_migrations (name, sha256) VALUES ($(quoted "$name"), $(quoted "$(sum_of "$file")"));
COMMIT;
\\echo applied $name
\\endif
END
    done
    for file in "${ROLE_PASSWORDS_DIR:-/nonexistent}"/*.password; do
        [ -f "$file" ] || continue
        role=$(basename "$file" .password)
        printf 'ALTER ROLE "%s" PASSWORD %s;\n' "${role//\"/\"\"}" "$(quoted "$(<"$file")")"
    done
}

script | psql -X -q -v ON_ERROR_STOP=1 -f - "${connection[@]}"
