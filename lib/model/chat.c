/*  chat - see chat.h */
#include "chat.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/fs.h"

#define TEMPLATE_MAX ((size_t) 16 << 20)

static const struct {
    chat_format_t format;
    const char *mark; /* in a template: it is of this format */
} formats[] = {
    {{"none", CHAT_PLACE, NULL}, NULL},
    {{"plain", CHAT_PLACE "\n", NULL}, NULL},
    {{"chatml", "<|im_start|>user\n" CHAT_PLACE "<|im_end|>\n<|im_start|>assistant\n",
      "<|im_end|>"},
     "<|im_start|>"},
    {{"llama3",
      "<|start_header_id|>user<|end_header_id|>\n\n" CHAT_PLACE
      "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
      "<|eot_id|>"},
     "<|start_header_id|>"},
};
#define FORMATS (sizeof formats / sizeof *formats)

static bool marked (const char *template, chat_format_t *format)
{
    for (size_t i = 0; template && i < FORMATS; i++)
        if (formats[i].mark && strstr (template, formats[i].mark)) {
            *format = formats[i].format;
            return true;
        }
    return false;
}

/*  A template is text, or a list of {"name", "template"}: then the one named default. */
static const char *template_of (const json_t *config)
{
    const json_t *all = json_object_get (config, "chat_template"), *one;
    size_t i;
    json_array_foreach (all, i, one)
    {
        const char *name = json_string_value (json_object_get (one, "name"));
        if (name && strcmp (name, "default") == 0)
            return json_string_value (json_object_get (one, "template"));
    }
    return json_string_value (all);
}

static bool read_file (const char *dir, const char *name, buf_t *text)
{
    char path[FS_PATH_MAX];
    return fs_join (path, dir, name, NULL) == 0 && fs_read (path, TEMPLATE_MAX, text, NULL) == 0;
}

/*  The tokens themselves are listed in tokenizer_config.json of many models that were never taught a format:
 *  only the template counts. */
static bool detect (const char *dir, chat_format_t *format)
{
    buf_t text = {.max = TEMPLATE_MAX}, jinja = {.max = TEMPLATE_MAX};
    bool found = read_file (dir, "chat_template.jinja", &jinja) && marked (jinja.data, format);
    if (!found && read_file (dir, "tokenizer_config.json", &text)) {
        json_t *config = json_loadb (text.data, text.size, 0, NULL);
        found = marked (template_of (config), format);
        json_decref (config);
    }
    buf_free (&text);
    buf_free (&jinja);
    return found;
}

int chat_find (const char *dir, const char *name, chat_format_t *format, err_t *err)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (strcmp (formats[i].format.name, name) == 0) {
            *format = formats[i].format;
            return 0;
        }
    if (strcmp (name, "auto") == 0 && dir)
        return detect (dir, format)
                   ? 0
                   : err_set (
                         err, ERR_CONFIG,
                         "%s: has no chat template known here (chatml, llama3): set model.chat "
                         "to none, chatml, llama3, plain or a pattern with " CHAT_PLACE,
                         dir);
    if (!strstr (name, CHAT_PLACE))
        return err_set (err, ERR_CONFIG,
                        "model.chat '%.80s' is not known: none, auto, chatml, llama3, plain or a "
                        "pattern with " CHAT_PLACE,
                        name);
    *format = (chat_format_t){.name = name, .pattern = name};
    return 0;
}

int chat_encode (const tokenizer_t *tokenizer, const chat_format_t *format, const char *text,
                 size_t size, tokenizer_ids_t *ids, err_t *err)
{
    const char *place = strstr (format->pattern, CHAT_PLACE), *after = place + strlen (CHAT_PLACE);
    tokenizer_part_t parts[] = {{format->pattern, (size_t) (place - format->pattern), false},
                                {text, size, true},
                                {after, strlen (after), false}};
    return tokenizer_encode_parts (tokenizer, parts, 3, ids, err);
}
