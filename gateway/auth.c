/* auth.c - API keys: who may call what.
 *
 * Called at start, and by the gateway before each handler, on HTTP threads; nothing here changes
 * after auth_load. The file holds hashes alone, so that reading it gives nobody a key. Keys are
 * long and random: a plain SHA-256 is enough, a slow password hash would only slow down the edge.
 * Every entry is compared in full, whichever fits, so that the time tells nothing.
 */
#include "gateway/auth.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/sha256.h"
#include "lib/text.h"

enum {
    HASH_SIZE = SHA256_SIZE,
    KEYS_MAX = 1024,
    LINE_SIZE = 512,
    NAME_MAX_BYTES = 64,
    KEY_MAX_BYTES = 512, /* what a caller may show */
    SCOPES_ALL = AUTH_READ | AUTH_WRITE | AUTH_ADMIN,
};

typedef struct api_key {
    char name[NAME_MAX_BYTES + 1];
    unsigned scopes;
    uint8_t hash[HASH_SIZE];
} api_key_t;

struct auth {
    bool open; /* no file: everybody may do everything */
    size_t count;
    api_key_t keys[]; /* room for KEYS_MAX unless open */
};

static unsigned scope_of(const char *name)
{
    if (strcmp(name, "read") == 0)
        return AUTH_READ;
    if (strcmp(name, "write") == 0)
        return AUTH_WRITE;
    return strcmp(name, "admin") == 0 ? SCOPES_ALL : AUTH_NONE;
}

/* "read,write"; AUTH_NONE when one is not known. */
static unsigned read_scopes(char *text)
{
    unsigned scopes = AUTH_NONE;
    for (char *next = text, *name; (name = strsep(&next, ",")) != NULL;) {
        unsigned scope = scope_of(name);
        if (scope == AUTH_NONE)
            return AUTH_NONE;
        scopes |= scope;
    }
    return scopes;
}

static bool read_hash(const char *text, uint8_t hash[HASH_SIZE])
{
    if (strlen(text) != (size_t)2 * HASH_SIZE ||
        strspn(text, "0123456789abcdefABCDEF") != (size_t)2 * HASH_SIZE)
        return false;
    for (size_t i = 0; i < HASH_SIZE; i++) {
        const char digits[] = {text[2 * i], text[2 * i + 1], '\0'};
        hash[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

static const api_key_t *find(const auth_t *self, const uint8_t hash[HASH_SIZE])
{
    const api_key_t *found = NULL;
    for (size_t i = 0; i < self->count; i++)
        if (CRYPTO_memcmp(self->keys[i].hash, hash, HASH_SIZE) == 0)
            found = &self->keys[i];
    return found;
}

/* What is wrong with a line, or NULL. Lines without an entry are right. */
static const char *read_line(auth_t *self, char *line)
{
    static const char blanks[] = " \t\r\n";
    char *rest;
    char *name = strtok_r(line, blanks, &rest);
    if (!name || *name == '#')
        return NULL;
    char *scopes = strtok_r(NULL, blanks, &rest), *hash = strtok_r(NULL, blanks, &rest);
    if (!scopes || !hash || strtok_r(NULL, blanks, &rest))
        return "is not: name scope[,scope] sha256-of-key";
    if (strlen(name) > NAME_MAX_BYTES)
        return "has a name that is too long";
    if (self->count == KEYS_MAX)
        return "is one key too many";
    api_key_t *key = &self->keys[self->count];
    str_copy(str_of(name), key->name, sizeof key->name);
    key->scopes = read_scopes(scopes);
    if (key->scopes == AUTH_NONE)
        return "has a scope that is none of read, write, admin";
    if (!read_hash(hash, key->hash))
        return "has no SHA-256 in 64 hexadecimal digits";
    if (find(self, key->hash))
        return "repeats the key of another line";
    self->count++;
    return NULL;
}

static err_t read_file(auth_t *self, FILE *stream, const char *file, err_detail_t *detail)
{
    char line[LINE_SIZE];
    for (unsigned number = 1; fgets(line, sizeof line, stream); number++) {
        const char *fault = !strchr(line, '\n') && !feof(stream) ? "is too long or holds a NUL"
                                                                 : read_line(self, line);
        if (fault)
            return err_set(detail, ERR_BAD_CONFIG, "%s: line %u %s", file, number, fault);
    }
    if (ferror(stream))
        return err_set(detail, ERR_BAD_CONFIG, "%s: %s", file, strerror(errno));
    if (self->count == 0)
        return err_set(detail, ERR_BAD_CONFIG, "%s: there is no key in it", file);
    return ERR_OK;
}

err_t auth_load(const char *file, auth_t **auth, err_detail_t *detail)
{
    *auth = NULL;
    FILE *stream = file ? fopen(file, "re") : NULL;
    if (file && !stream)
        return err_set(detail, ERR_BAD_CONFIG, "%s: %s", file, strerror(errno));
    auth_t *self = calloc(1, sizeof *self + (file ? KEYS_MAX * sizeof(api_key_t) : 0));
    CHECK(self != NULL);
    self->open = !file;
    err_t err = ERR_OK;
    if (stream) {
        err = read_file(self, stream, file, detail);
        (void)fclose(stream);
    }
    if (err != ERR_OK)
        auth_destroy(&self);
    *auth = self;
    return err;
}

void auth_destroy(auth_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

bool auth_has_keys(const auth_t *self)
{
    return !self->open;
}

/* RFC 6750 section 2.1, the scheme in either case; NULL when it is something else. */
static const char *bearer_token(const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return NULL;
    const char *token = authorization + sizeof scheme - 1;
    token += strspn(token, " ");
    size_t size = strlen(token);
    return size > 0 && size <= KEY_MAX_BYTES ? token : NULL;
}

/* The key that an Authorization header's value shows, or NULL. */
static const api_key_t *key_of(const auth_t *self, const char *authorization)
{
    const char *token = bearer_token(authorization);
    if (!token)
        return NULL;
    uint8_t hash[HASH_SIZE];
    sha256(&(str_t){token, (uint32_t)strlen(token)}, 1, hash);
    return find(self, hash);
}

err_t auth_check_header(const auth_t *self, const char *authorization, auth_scope_t needed)
{
    if (self->open || needed == AUTH_NONE)
        return ERR_OK;
    const api_key_t *key = key_of(self, authorization);
    if (!key)
        return ERR_UNAUTHENTICATED;
    return (key->scopes & (unsigned)needed) == (unsigned)needed ? ERR_OK : ERR_FORBIDDEN;
}

err_t auth_check(const auth_t *self, const http_request_t *request, auth_scope_t needed)
{
    if (self->open || needed == AUTH_NONE)
        return ERR_OK;
    return auth_check_header(self, http_header(request, "Authorization"), needed);
}

const char *auth_caller_header(const auth_t *self, const char *authorization)
{
    const api_key_t *key = self->open ? NULL : key_of(self, authorization);
    return key ? key->name : "";
}

const char *auth_caller(const auth_t *self, const http_request_t *request)
{
    return auth_caller_header(self, http_header(request, "Authorization"));
}
