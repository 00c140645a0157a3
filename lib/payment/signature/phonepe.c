/* phonepe.c - PhonePe v2: Authorization is the SHA-256 of "username:password" in small hexadecimal
 * letters, with no scheme before it. It proves who calls and covers nothing of the body: what the
 * webhook says is to be asked for. Source: npm @phonepe-pg/pg-sdk-node 2.0.6, validateCallback.
 *
 * PhonePe v1 (a secret here is "<salt index>:<salt key>"): X-VERIFY is SHA-256 of the text in
 * "response" and the salt key, "###", and the index. Source: developer.phonepe.com, v1.
 */
#include <stdio.h>
#include <string.h>

#include "lib/json_read.h"
#include "lib/payment/signature/parts.h"
#include "lib/sha256.h"

bool signature_phonepe(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    str_t given;
    bool found = false;
    reason[0] = '\0';
    if (!signature_header(input, "Authorization", &given, reason))
        return false;
    for (size_t i = 0; i < input->secret_count; i++) {
        uint8_t digest[SHA256_SIZE];
        sha256(&input->secrets[i], 1, digest);
        found |= input->secrets[i].size > 0 && signature_is_hex(digest, sizeof digest, given);
    }
    return found || signature_refuse(reason, "Authorization is wrong");
}

static bool v1_fits(str_t secret, str_t response, str_t given)
{
    static const char between[] = "###";
    const char *colon = secret.size > 0 ? memchr(secret.data, ':', secret.size) : NULL;
    if (!colon || given.size < 2 * SHA256_SIZE + 3)
        return false;
    const str_t index = {secret.data, (uint32_t)(colon - secret.data)};
    const str_t key = {colon + 1, secret.size - index.size - 1};
    const str_t hex = {given.data, 2 * SHA256_SIZE};
    const str_t rest = {given.data + hex.size, given.size - hex.size};
    uint8_t digest[SHA256_SIZE];
    sha256((const str_t[]){response, key}, 2, digest);
    return signature_is_hex(digest, sizeof digest, hex) && memcmp(rest.data, between, 3) == 0 &&
           str_equal((str_t){rest.data + 3, rest.size - 3}, index);
}

bool signature_phonepe_v1(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    str_t given;
    bool found = false;
    reason[0] = '\0';
    if (!signature_header(input, "X-VERIFY", &given, reason))
        return false;
    json_t *root = json_read_object(input->body, NULL);
    const str_t response = json_read_str(root, "response");
    for (size_t i = 0; response.data && i < input->secret_count; i++)
        found |= v1_fits(input->secrets[i], response, given);
    json_decref(root);
    return found || signature_refuse(reason, "X-VERIFY is wrong");
}
