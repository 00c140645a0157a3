/* messages_document.c - MESSAGES.md out of the tables. A test holds the file in the tree against
 * it. */
#include "proto/messages_field.h"

static const char *kind_name(message_kind_t kind)
{
    static const char *const names[] = {
        [MESSAGE_REQUEST] = "REQUEST", [MESSAGE_REPLY] = "REPLY", [MESSAGE_EVENT] = "EVENT"};
    return names[kind];
}

static const char *type_name(field_type_t type)
{
    static const char *const names[] = {[FIELD_UUID] = "UUID",
                                        [FIELD_INT] = "INT",
                                        [FIELD_BOOL] = "BOOL",
                                        [FIELD_STR] = "STR",
                                        [FIELD_JSON] = "JSON"};
    return names[type];
}

/* "order.create" as a link to its own heading: GitHub's anchors drop the dot. */
static void add_link(buf_t *markdown, const char *name)
{
    buf_printf(markdown, "[%s](#", name);
    for (const char *c = name; *c != '\0'; c++)
        if (*c != '.')
            buf_add(markdown, c, 1);
    buf_add_text(markdown, ")");
}

/* Table cells: a bar would end them. */
static void add_cell(buf_t *markdown, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '|')
            buf_add(markdown, "\\", 1);
        buf_add(markdown, c, 1);
    }
}

static void add_flags(buf_t *markdown, uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } names[] = {{FIELD_KEY, "KEY"}, {FIELD_PII, "PII"}, {FIELD_SECRET, "SECRET"}};
    const char *separator = "";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((flags & names[i].flag) == 0)
            continue;
        buf_printf(markdown, "%s%s", separator, names[i].name);
        separator = ", ";
    }
}

static void add_field(buf_t *markdown, const field_schema_t *field)
{
    buf_printf(markdown, "| %u | `%s` | %s", field->number, field->name, type_name(field->type));
    if (field->max_bytes != 0)
        buf_printf(markdown, "(%u)", field->max_bytes);
    buf_printf(markdown, " | %s | ", field->required ? "yes" : "");
    add_flags(markdown, field->flags);
    buf_add_text(markdown, " | ");
    add_cell(markdown, field->doc);
    buf_add_text(markdown, " |\n");
}

static void add_index_row(buf_t *markdown, const message_schema_t *schema)
{
    buf_printf(markdown, "| %u | ", schema->id);
    add_link(markdown, schema->name);
    buf_printf(markdown, " | %s | %s | ", kind_name(schema->kind), schema->service);
    const message_schema_t *reply = message_by_id(schema->reply_id);
    if (reply != NULL)
        add_link(markdown, reply->name);
    buf_printf(markdown, " | %s |\n",
               schema->kind != MESSAGE_REQUEST ? ""
               : schema->retry_safe            ? "SAFE"
                                               : "NEVER");
}

static void add_message(buf_t *markdown, const message_schema_t *schema)
{
    buf_printf(markdown, "\n## %s\n\nId %u, %s %s `%s`. %s\n\n", schema->name, schema->id,
               kind_name(schema->kind), schema->kind == MESSAGE_REQUEST ? "to" : "from",
               schema->service, schema->doc);
    buf_add_text(markdown, "| key | field | type | required | flags | meaning |\n"
                           "|----:|-------|------|----------|-------|---------|\n");
    for (size_t i = 0; i < schema->field_count; i++)
        add_field(markdown, &schema->fields[i]);
}

void message_document_all(buf_t *markdown)
{
    size_t count;
    const message_schema_t *schemas = message_schemas(&count);
    buf_add_text(
        markdown,
        "# Messages\n\n"
        "Derived from `messages.def`; do not edit. The frames around a body are in "
        "[PROTOCOL.md](PROTOCOL.md).\n\n"
        "A body is a MessagePack map from the key to the value, keys ascending. Types: UUID (16 "
        "bytes "
        "of `bin`), INT (64 bits, signed), BOOL, STR(n) (UTF-8, at most n bytes), JSON(n) (a JSON "
        "document as text). A field that is not required is left out when it has no value; unknown "
        "keys are skipped.\n\n"
        "KEY: names the thing the message is about. PII: masked on the tap. SECRET: masked "
        "everywhere.\n"
        "Retry: whether the hub may send a request again after the instance that held it is "
        "lost.\n\n"
        "| id | message | kind | service | reply | retry |\n"
        "|---:|---------|------|---------|-------|-------|\n");
    for (size_t i = 0; i < count; i++)
        add_index_row(markdown, &schemas[i]);
    for (size_t i = 0; i < count; i++)
        add_message(markdown, &schemas[i]);
}
