/* sim_notes.c - see sim_notes.h. */
#include "services/psp_sim/sim_notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/form.h"
#include "lib/json_read.h"

static void keep(json_t *object, buf_t *notes)
{
    char *text = json_object_size(object) > 0 ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text)
        buf_add_text(notes, text);
    free(text);
}

void sim_notes_of_json(const json_t *root, const char *name, buf_t *notes)
{
    json_t *object = json_object_get(root, name);
    if (json_is_object(object))
        keep(object, notes);
}

/* What is between the brackets of "name[key]"; false: it is another field. */
static bool key_in(const buf_t *field, const char *name, str_t *key)
{
    const size_t size = strlen(name);
    if (field->size < size + 2 || memcmp(field->data, name, size) != 0 ||
        field->data[size] != '[' || field->data[field->size - 1] != ']')
        return false;
    *key = (str_t){field->data + size + 1, (uint32_t)(field->size - size - 2)};
    return memchr(key->data, '[', key->size) == NULL && memchr(key->data, ']', key->size) == NULL;
}

static void set(json_t *object, str_t key, const buf_t *value)
{
    (void)json_object_setn_new(object, key.data, key.size,
                               json_stringn(value->size ? value->data : "", value->size));
}

void sim_notes_of_form(str_t form, const char *name, buf_t *notes)
{
    json_t *object = json_object();
    form_field_t field;
    while (form_next(&form, &field)) {
        buf_t whole = {0}, value = {0};
        str_t key;
        form_decode(field.name, &whole);
        form_decode(field.value, &value);
        if (key_in(&whole, name, &key) && value.size > 0) /* an empty value takes the key away */
            set(object, key, &value);
        buf_free(&whole);
        buf_free(&value);
    }
    keep(object, notes);
    json_decref(object);
}

void sim_notes_of_udfs(const json_t *root, str_t form, unsigned count, buf_t *notes)
{
    json_t *object = json_object();
    for (unsigned i = 1; i <= count; i++) {
        char name[8];
        buf_t value = {0};
        snprintf(name, sizeof name, "udf%u", i);
        if (root && json_is_string(json_object_get(root, name)))
            json_object_set(object, name, json_object_get(root, name));
        else if (!root && form_get(form, name, &value) && value.size > 0)
            set(object, str_of(name), &value);
        buf_free(&value);
    }
    keep(object, notes);
    json_decref(object);
}

json_t *sim_notes_read(const char *notes)
{
    return notes ? json_read_object(str_of(notes), NULL) : NULL;
}

bool sim_notes_within(const char *notes, const sim_notes_limits_t *limits)
{
    json_t *object = sim_notes_read(notes), *value;
    const char *name;
    bool within = limits->pairs == 0 || json_object_size(object) <= limits->pairs;
    json_object_foreach(object, name, value)
    {
        if ((limits->name > 0 && utf8_length(name, strlen(name)) > limits->name) ||
            (limits->value > 0 && json_is_string(value) &&
             utf8_length(json_string_value(value), json_string_length(value)) > limits->value))
            within = false;
    }
    json_decref(object);
    return within;
}

void sim_notes_write(buf_t *body, const char *key, const char *notes, const char *nothing)
{
    const char *text = notes ? notes : nothing;
    json_raw(body, key, text, strlen(text));
}

char *sim_notes_text(const char *notes, const char *name)
{
    json_t *object = sim_notes_read(notes);
    const char *value = json_string_value(json_object_get(object, name));
    char *text = strdup(value ? value : "");
    CHECK(text);
    json_decref(object);
    return text;
}
