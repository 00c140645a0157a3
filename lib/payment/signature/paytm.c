/* paytm.c - Paytm's checksum: base64 of AES-128-CBC (the key is the merchant key of 16 bytes, the
 * IV is fixed) of hex(SHA-256(text '|' salt)) and the salt, 4 characters. The text is
 *
 *   of a callback form     the values of all fields but CHECKSUMHASH, by name, joined by '|'
 *   of a JSON API          the whole body; the checksum is in a header here
 *   of a JSON webhook      the bytes of its member "body"; the checksum is head.signature
 *
 * Source: npm paytmchecksum 1.5.1, verifySignature; github.com/paytm/paytm-agent-skills for which
 * bytes.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/form.h"
#include "lib/json_raw.h"
#include "lib/json_read.h"
#include "lib/payment/signature/parts.h"
#include "lib/sha256.h"

enum {
    KEY_SIZE = 16,
    SALT_SIZE = 4,
    PLAIN_SIZE = 2 * SHA256_SIZE + SALT_SIZE,
    CIPHER_MAX = 256,
    FIELDS_MAX = 128
};

/* What the checksum holds: PLAIN_SIZE bytes; false when it does not decrypt to that. */
static bool decrypt(str_t key, str_t checksum, char plain[PLAIN_SIZE])
{
    static const unsigned char iv[] = "@@@@&&&&####$$$$";
    unsigned char out[CIPHER_MAX + KEY_SIZE];
    buf_t cipher = {0};
    int size = 0, more = 0;
    bool ok = key.size == KEY_SIZE && checksum.size <= CIPHER_MAX &&
              signature_decode_base64(checksum, &cipher) && cipher.size % KEY_SIZE == 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    CHECK(context);
    ok = ok &&
         EVP_DecryptInit_ex(context, EVP_aes_128_cbc(), NULL, (const unsigned char *)key.data,
                            iv) == 1 &&
         EVP_DecryptUpdate(context, out, &size, (const unsigned char *)cipher.data,
                           (int)cipher.size) == 1 &&
         EVP_DecryptFinal_ex(context, out + size, &more) == 1 && size + more == PLAIN_SIZE;
    EVP_CIPHER_CTX_free(context);
    buf_free(&cipher);
    if (ok)
        memcpy(plain, out, PLAIN_SIZE);
    return ok;
}

static bool fits(const signature_input_t *input, str_t text, str_t checksum)
{
    bool found = false;
    for (size_t i = 0; i < input->secret_count; i++) {
        char plain[PLAIN_SIZE];
        uint8_t digest[SHA256_SIZE];
        if (!decrypt(input->secrets[i], checksum, plain))
            continue;
        const str_t salt = {plain + 2 * SHA256_SIZE, SALT_SIZE};
        sha256((const str_t[]){text, STR_LITERAL("|"), salt}, 3, digest);
        found |= signature_is_hex(digest, sizeof digest, (str_t){plain, 2 * SHA256_SIZE});
    }
    return found;
}

typedef struct pair {
    buf_t name, value;
} pair_t;

static int by_name(const void *a, const void *b)
{
    const buf_t *x = &((const pair_t *)a)->name, *y = &((const pair_t *)b)->name;
    const size_t least = x->size < y->size ? x->size : y->size;
    const int order = least > 0 ? memcmp(x->data, y->data, least) : 0;
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

/* The values by name, joined; false when there are too many, or one name twice. */
static bool join(str_t form, buf_t *text)
{
    pair_t *pairs = calloc(FIELDS_MAX, sizeof *pairs);
    size_t count = 0;
    form_field_t field;
    CHECK(pairs);
    bool ok = true;
    while (ok && form_next(&form, &field)) {
        if (form_name_is(&field, "CHECKSUMHASH"))
            continue;
        ok = count < FIELDS_MAX;
        if (!ok)
            break;
        form_decode(field.name, &pairs[count].name);
        form_decode(field.value, &pairs[count++].value);
    }
    qsort(pairs, count, sizeof *pairs, by_name);
    for (size_t i = 0; i < count; i++) {
        ok = ok && (i == 0 || by_name(&pairs[i - 1], &pairs[i]) != 0);
        if (i > 0)
            buf_add(text, "|", 1);
        buf_add(text, pairs[i].value.data, pairs[i].value.size);
    }
    for (size_t i = 0; i < count; i++) {
        buf_free(&pairs[i].name);
        buf_free(&pairs[i].value);
    }
    free(pairs);
    return ok && !text->overflow;
}

bool signature_paytm(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    char checksum[CIPHER_MAX + 1];
    buf_t text = {0};
    reason[0] = '\0';
    if (!form_copy(input->body, "CHECKSUMHASH", checksum, sizeof checksum) || !checksum[0])
        return signature_refuse(reason, "CHECKSUMHASH is missing");
    const bool whole = join(input->body, &text);
    const bool fitting = whole && fits(input, signature_text(&text), str_of(checksum));
    buf_free(&text);
    return fitting ||
           signature_refuse(reason, whole ? "CHECKSUMHASH is wrong" : "a field comes twice");
}

bool signature_paytm_header(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    str_t checksum;
    reason[0] = '\0';
    if (!signature_header(input, "x-signature-in-head", &checksum, reason))
        return false;
    return fits(input, input->body, checksum) || signature_refuse(reason, "the signature is wrong");
}

bool signature_paytm_s2s(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    reason[0] = '\0';
    json_t *root = json_read_object(input->body, NULL);
    const str_t checksum = json_read_str(json_object_get(root, "head"), "signature");
    str_t body;
    const bool whole = root && json_raw_find(input->body, "body", &body) && body.data[0] == '{';
    const bool fitting = whole && checksum.data && fits(input, body, checksum);
    json_decref(root);
    return fitting || signature_refuse(reason, !whole           ? "there is no object \"body\""
                                               : !checksum.data ? "head.signature is missing"
                                                                : "head.signature is wrong");
}
