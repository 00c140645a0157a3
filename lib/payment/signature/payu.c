/* payu.c - PayU's hashes, SHA-512 in small hexadecimal letters over fields and the salt, joined by
 * '|'.
 *
 * Of a webhook or callback (a form; field `hash`), in reverse:
 * [additionalCharges|]SALT|status|[splitInfo|]||||||udf5|udf4|udf3|udf2|udf1|email|firstname|productinfo|amount|txnid|key
 * Fields are hashed as they are decoded, amounts as text. Not signed: mihpayid, mode, bank_ref_num,
 * error, net_amount_debit. Source: npm payu-websdk 1.3.1, validateResponseHash,
 * generatePaymentHash, apiHasher.
 */
#include <openssl/evp.h>
#include <stdio.h>

#include "lib/form.h"
#include "lib/payment/signature/parts.h"

static void sha512(const buf_t *text, uint8_t digest[64])
{
    CHECK(EVP_Digest(text->data, text->size, digest, NULL, EVP_sha512(), NULL) == 1);
}

static void add_field(str_t form, const char *name, buf_t *text)
{
    buf_add(text, "|", 1);
    (void)form_get(form, name, text);
}

static void write_reverse(const signature_input_t *input, str_t salt, buf_t *text)
{
    static const char *const names[] = {"udf5",  "udf4",      "udf3",        "udf2",   "udf1",
                                        "email", "firstname", "productinfo", "amount", "txnid"};
    buf_t ignored = {0};
    if (form_get(input->body, "additionalCharges", text))
        buf_add(text, "|", 1);
    buf_add(text, salt.data, salt.size);
    add_field(input->body, "status", text);
    if (input->split && form_get(input->body, "splitInfo", &ignored))
        add_field(input->body, "splitInfo", text);
    buf_add(text, "|||||", 5);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        add_field(input->body, names[i], text);
    buf_add(text, "|", 1);
    buf_add(text, input->key_id.data, input->key_id.size);
    buf_free(&ignored);
}

/* What is read is what was hashed: of a field that comes twice nobody knows which was meant. */
static bool has_doubles(str_t form)
{
    static const char *const names[] = {
        "hash", "status", "txnid", "amount", "additionalCharges", "splitInfo", "udf1",
        "udf2", "udf3",   "udf4",  "udf5"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsigned count = 0;
        form_field_t field;
        for (str_t rest = form; form_next(&rest, &field);)
            count += form_name_is(&field, names[i]);
        if (count > 1)
            return true;
    }
    return false;
}

bool signature_payu(const signature_input_t *input, char reason[SIGNATURE_REASON_SIZE])
{
    char given[SIGNATURE_SHA512_HEX_SIZE + 1];
    bool found = false;
    reason[0] = '\0';
    if (!form_copy(input->body, "hash", given, sizeof given) || !given[0])
        return signature_refuse(reason, "hash is missing");
    if (has_doubles(input->body))
        return signature_refuse(reason, "a field comes twice");
    for (size_t i = 0; i < input->secret_count; i++) {
        uint8_t digest[64];
        buf_t text = {0};
        write_reverse(input, input->secrets[i], &text);
        sha512(&text, digest);
        found |= !text.overflow && signature_is_hex(digest, sizeof digest, str_of(given));
        buf_free(&text);
    }
    return found || signature_refuse(reason, "hash is wrong");
}

static void write_hex(buf_t *text, char hex[SIGNATURE_SHA512_HEX_SIZE])
{
    uint8_t digest[64];
    sha512(text, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    buf_free(text);
}

void signature_payu_payment(const char *const fields[11], str_t salt,
                            char hex[SIGNATURE_SHA512_HEX_SIZE])
{
    buf_t text = {0};
    for (size_t i = 0; i < 11; i++)
        buf_printf(&text, "%s|", fields[i]);
    buf_add_text(&text, "|||||");
    buf_add(&text, salt.data, salt.size);
    write_hex(&text, hex);
}

void signature_payu_command(const char *key, const char *command, const char *var1, str_t salt,
                            char hex[SIGNATURE_SHA512_HEX_SIZE])
{
    buf_t text = {0};
    buf_printf(&text, "%s|%s|%s|%.*s", key, command, var1, STR_ARG(salt));
    write_hex(&text, hex);
}
