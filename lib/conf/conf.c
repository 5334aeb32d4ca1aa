/*  conf - see conf.h
 *
 *  A file has two levels, section: {key: value}, but for what stands below team.roles. The YAML is
 *  read as events, so every error can name its line; aliases and further documents are refused,
 *  anchors and tags mean nothing.
 */
#include "conf/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/fs.h"
#include "conf/check.h"
#include "conf/table.h"
#include "task/family.h"

#define CONF_FILE_MAX  ((size_t) 1 << 20)
#define CONF_KEYS_MAX  256 /* keys of one section, for finding duplicates */
#define NAME_MAX_BYTES 160 /* of "section.key" */

typedef struct {
    yaml_parser_t parser;
    const char *text; /* all of the file */
    size_t size;
    const char *name; /* of the file, in errors */
    conf_t *conf;
    err_t *err;
    bool seen_section[64]; /* more than there are */
} reader_t;

/*  A section while it is read. */
typedef struct {
    const conf_section_t *section;
    bool seen[CONF_KEYS_MAX];
} place_t;

/*  Lines count from 0 in libyaml, from 1 for people. */
static int conf_fail (reader_t *r, size_t line, const char *text, const char *what)
{
    return err_set (r->err, ERR_CONFIG, "%s:%zu: %s%s", r->name, line + 1, text, what);
}

/*  libyaml speaks of "found character that cannot start any token" where somebody indented with a
 *  tab. */
static int conf_next (reader_t *r, yaml_event_t *event)
{
    if (!yaml_parser_parse (&r->parser, event)) {
        const char *problem = r->parser.problem ? r->parser.problem : "not YAML";
        size_t at = r->parser.problem_mark.index;
        /* An empty event, which callers may delete like any other. */
        memset (event, 0, sizeof *event);
        if (at < r->size && r->text[at] == '\t')
            problem = "a tab: YAML wants spaces before a key";
        return conf_fail (r, r->parser.problem_mark.line, problem, "");
    }
    if (event->type != YAML_ALIAS_EVENT)
        return 0;
    size_t line = event->start_mark.line;
    yaml_event_delete (event);
    memset (event, 0, sizeof *event);
    return conf_fail (r, line, "aliases are not supported: write the value", "");
}

/*  An item of a sequence: a word as it is, anything else in quotes as the table reads them. An item
 *  with blanks or commas would otherwise become two. */
static void conf_write_item (buf_t *text, const char *item, size_t size)
{
    bool word = size > 0;
    for (size_t i = 0; i < size; i++)
        word = word && !strchr (" ,[]\"'\\", item[i]);
    if (word) {
        buf_append (text, item, size);
    } else {
        buf_char (text, '"');
        for (size_t i = 0; i < size; i++) {
            if (item[i] == '"' || item[i] == '\\')
                buf_char (text, '\\');
            buf_char (text, item[i]);
        }
        buf_char (text, '"');
    }
    buf_char (text, ' ');
}

#define CONF_DEPTH_MAX 8

static json_t *conf_read_json (reader_t *r, yaml_event_t *event, const char *key, int depth);

/*  Adds what stands in a list, or as key and value in a map, until its end; -1: r->err says why. */
static int conf_read_members (reader_t *r, json_t *into, const char *key, int depth)
{
    for (;;) {
        yaml_event_t event = {0}, value = {0};
        int rc = conf_next (r, &event);
        bool last = rc == 0 &&
                    (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT);
        const char *name =
            event.type == YAML_SCALAR_EVENT ? (char *) event.data.scalar.value : NULL;
        if (rc == 0 && !last && json_is_array (into)) {
            json_t *item = conf_read_json (r, &event, key, depth);
            rc = item && json_array_append_new (into, item) == 0 ? 0 : -1;
        } else if (rc == 0 && !last) {
            if (!name || json_object_get (into, name))
                rc = conf_fail (r, event.start_mark.line, key,
                                name ? ": a name stands twice" : ": a name is wanted");
            if (rc == 0)
                rc = conf_next (r, &value);
            json_t *item = rc == 0 ? conf_read_json (r, &value, key, depth) : NULL;
            rc = item && json_object_set_new (into, name, item) == 0 ? 0 : -1;
        }
        yaml_event_delete (&event);
        yaml_event_delete (&value);
        if (rc != 0 || last)
            return rc;
    }
}

/*  What begins with an event, as JSON; all scalars are texts. NULL: r->err says why. */
static json_t *conf_read_json (reader_t *r, yaml_event_t *event, const char *key, int depth)
{
    json_t *value = NULL;
    if (event->type == YAML_SCALAR_EVENT)
        value = json_stringn ((const char *) event->data.scalar.value, event->data.scalar.length);
    else if (event->type == YAML_SEQUENCE_START_EVENT && depth < CONF_DEPTH_MAX)
        value = json_array ();
    else if (event->type == YAML_MAPPING_START_EVENT && depth < CONF_DEPTH_MAX)
        value = json_object ();
    if (!value)
        conf_fail (r, event->start_mark.line, key, ": lists, names and words are wanted");
    else if (!json_is_string (value) && conf_read_members (r, value, key, depth + 1) != 0) {
        json_decref (value);
        value = NULL;
    }
    return value;
}

/*  A value of several levels, as one line of JSON, which is what --set is given as well. */
static int conf_read_tree (reader_t *r, yaml_event_t *event, const char *key, buf_t *text)
{
    json_t *value = conf_read_json (r, event, key, 0);
    char *line = value ? json_dumps (value, 0) : NULL;
    if (line)
        buf_text (text, line);
    json_decref (value);
    free (line);
    return line ? 0 : -1;
}

/*  A role's words: a text, or for some keys a list, which becomes a text with blanks between. */
static int conf_read_words (reader_t *r, const char *role, bool list, yaml_event_t *value,
                            buf_t *text)
{
    size_t line = value->start_mark.line;
    int rc = 0;
    if (value->type == YAML_SCALAR_EVENT) {
        buf_append (text, value->data.scalar.value, value->data.scalar.length);
    } else if (value->type == YAML_SEQUENCE_START_EVENT && list) {
        yaml_event_t item = {0};
        while ((rc = conf_next (r, &item)) == 0 && item.type == YAML_SCALAR_EVENT) {
            conf_write_item (text, (char *) item.data.scalar.value, item.data.scalar.length);
            yaml_event_delete (&item);
        }
        if (rc == 0 && item.type != YAML_SEQUENCE_END_EVENT)
            rc = conf_fail (r, line, role, ": a list of words is wanted");
        yaml_event_delete (&item);
        text->size -= text->size > 0; /* the blank behind the last one */
    } else {
        rc = conf_fail (r, line, role, ": a key and a text are wanted");
    }
    if (rc == 0 && (buf_failed (text) || memchr (text->data ? text->data : "", 0, text->size)))
        rc = conf_fail (r, line, role, ": a key and a text are wanted");
    buf_text (text, "");
    return rc;
}

/*  What stands below a role's name: nothing, or lines of  key: words. */
static int conf_read_seat (reader_t *r, const char *role, yaml_event_t *event)
{
    bool empty = event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0;
    if (empty || event->type != YAML_MAPPING_START_EVENT)
        return empty ? 0
                     : conf_fail (r, event->start_mark.line, role,
                                  ": below a role stand lines of  key: words");
    for (;;) {
        yaml_event_t key, value = {0};
        char where[FS_PATH_MAX + 32];
        if (conf_next (r, &key) != 0)
            return -1;
        snprintf (where, sizeof where, "%s:%zu", r->name, key.start_mark.line + 1);
        buf_t words = {.max = 1 << 16};
        int rc = key.type == YAML_MAPPING_END_EVENT ? 1 : conf_next (r, &value);
        if (rc == 0 && key.type != YAML_SCALAR_EVENT)
            rc = conf_fail (r, key.start_mark.line, role, ": a key and a text are wanted");
        if (rc == 0)
            rc = conf_read_words (r, role, conf_takes_list ((char *) key.data.scalar.value), &value,
                                  &words);
        if (rc == 0 && conf_has_word (r->conf, role, (const char *) key.data.scalar.value))
            rc = err_set (r->err, ERR_CONFIG, "%s: team.roles.%.60s.%.60s: given twice", where,
                          role, (const char *) key.data.scalar.value);
        if (rc == 0)
            rc = conf_set_words (r->conf, role, (const char *) key.data.scalar.value,
                                 words.data ? words.data : "", where, r->err);
        buf_free (&words);
        yaml_event_delete (&key);
        yaml_event_delete (&value);
        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
}

/*  team.roles as a map: the names are its list, what stands below them is kept beside it. */
static int conf_read_roles (reader_t *r, buf_t *text)
{
    for (;;) {
        yaml_event_t name, below = {0};
        if (conf_next (r, &name) != 0)
            return -1;
        int rc = name.type == YAML_MAPPING_END_EVENT ? 1 : conf_next (r, &below);
        if (rc == 0 && name.type != YAML_SCALAR_EVENT)
            rc = conf_fail (r, name.start_mark.line, "team.roles", ": names of roles are wanted");
        if (rc == 0) {
            conf_write_item (text, (const char *) name.data.scalar.value, name.data.scalar.length);
            rc = conf_read_seat (r, (const char *) name.data.scalar.value, &below);
        }
        yaml_event_delete (&name);
        yaml_event_delete (&below);
        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
}

/*  The value of a key as text: a scalar, or the items of a sequence with blanks between. The table
 *  turns it into the key's kind, so that a value from --set goes the same way. */
static int conf_read_value (reader_t *r, const char *key, buf_t *text)
{
    yaml_event_t event;
    if (conf_next (r, &event) != 0)
        return -1;
    int rc = 0;
    size_t line = event.start_mark.line;
    if (event.type == YAML_SCALAR_EVENT) {
        buf_append (text, event.data.scalar.value, event.data.scalar.length);
    } else if (event.type == YAML_SEQUENCE_START_EVENT && strcmp (key, "team.turns") == 0) {
        rc = conf_read_tree (r, &event, key, text);
    } else if (event.type == YAML_SEQUENCE_START_EVENT) {
        yaml_event_delete (&event);
        /* Items are words: a list in a list, or a section, ends the loop and is refused behind
           it. */
        while ((rc = conf_next (r, &event)) == 0 && event.type == YAML_SCALAR_EVENT) {
            conf_write_item (text, (const char *) event.data.scalar.value,
                             event.data.scalar.length);
            yaml_event_delete (&event);
        }
        if (rc == 0 && event.type != YAML_SEQUENCE_END_EVENT)
            rc = conf_fail (r, line, key, ": a list of words is wanted");
    } else if (event.type == YAML_MAPPING_START_EVENT && strcmp (key, "team.roles") == 0) {
        rc = conf_read_roles (r, text);
    } else {
        rc = conf_fail (r, line, key, ": one value or a list is wanted, not a section");
    }
    yaml_event_delete (&event);
    /* YAML can write a 0 byte as "\0"; our values are strings. */
    if (rc == 0 && (buf_failed (text) || (text->size && memchr (text->data, 0, text->size))))
        rc = conf_fail (r, line, key, ": not a text");
    return rc;
}

/*  Refuses a key that does not exist, or for section NULL a section, with the nearest name that
 *  does. */
static int conf_unknown (const conf_section_t *section, const char *name, const char *where,
                         const char *full, err_t *err)
{
    buf_t hint = {0};
    conf_suggest (section, name, &hint);
    err_set (err, ERR_CONFIG, "%s: %s: no such %s%s (--print-config lists all)", where, full,
             section ? "key" : "section", hint.data ? hint.data : "");
    buf_free (&hint);
    return -1;
}

/*  Given twice is an error: YAML would let the last one count, and the reader of the file may look
 *  at the first. An unknown key is refused for the same reason: who wrote it counts on it. */
static int conf_read_key (reader_t *r, void *context, const char *name, size_t line)
{
    place_t *place = context;
    const conf_section_t *section = place->section;
    const conf_key_t *key = conf_find (section, name);
    char where[FS_PATH_MAX + 32], full[NAME_MAX_BYTES];
    snprintf (where, sizeof where, "%s:%zu", r->name, line + 1);
    snprintf (full, sizeof full, "%s.%.100s", section->name, name);
    if (!key)
        return conf_unknown (section, name, where, full, r->err);
    if (place->seen[key - section->keys])
        return conf_fail (r, line, full, ": given twice");
    place->seen[key - section->keys] = true;
    buf_t text = {.max = 1 << 16}; /* a value, not a document */
    int rc = conf_read_value (r, full, &text);
    if (rc == 0)
        rc = conf_set (r->conf, section, key, text.data ? text.data : "", where, r->err);
    buf_free (&text);
    return rc;
}

/*  NULL: there is no such section, or it was there before, and the error says which. */
static const conf_section_t *conf_begin_section (reader_t *r, const char *name, size_t line)
{
    size_t n;
    const conf_section_t *section = conf_section (name);
    if (!section) {
        char where[FS_PATH_MAX + 32];
        snprintf (where, sizeof where, "%s:%zu", r->name, line + 1);
        conf_unknown (NULL, name, where, name, r->err);
        return NULL;
    }
    bool *seen = &r->seen_section[section - conf_sections (&n)];
    if (*seen) {
        conf_fail (r, line, name, ": given twice");
        return NULL;
    }
    *seen = true;
    return section;
}

/*  Calls each for the keys of a mapping, which take the events of their values. What is empty
 *  ("team:" and nothing below) has none. */
static int conf_read_lines (reader_t *r, const char *name, size_t line,
                            int (*each) (reader_t *r, void *context, const char *key, size_t line),
                            void *context)
{
    yaml_event_t event;
    if (conf_next (r, &event) != 0)
        return -1;
    bool empty = event.type == YAML_SCALAR_EVENT && event.data.scalar.length == 0;
    bool mapping = event.type == YAML_MAPPING_START_EVENT;
    yaml_event_delete (&event);
    if (empty)
        return 0;
    if (!mapping)
        return conf_fail (r, line, name, ": a section holds lines of  key: value");
    for (;;) {
        if (conf_next (r, &event) != 0)
            return -1;
        int rc = 1; /* 1: the section ends here */
        if (event.type == YAML_SCALAR_EVENT)
            rc = each (r, context, (const char *) event.data.scalar.value, event.start_mark.line);
        else if (event.type != YAML_MAPPING_END_EVENT)
            rc = conf_fail (r, event.start_mark.line, name, ": a key must be a word");
        yaml_event_delete (&event);
        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
}

static int conf_read_section (reader_t *r, const char *name, size_t line)
{
    place_t place = {.section = conf_begin_section (r, name, line)};
    return place.section ? conf_read_lines (r, name, line, conf_read_key, &place) : -1;
}

/*  One key of the policy whose name is the context, or for context NULL a policy. */
static int conf_read_policy (reader_t *r, void *context, const char *key, size_t line)
{
    const char *name = context ? context : key;
    char where[FS_PATH_MAX + 32], full[NAME_MAX_BYTES];
    snprintf (where, sizeof where, "%s:%zu", r->name, line + 1);
    snprintf (full, sizeof full, "policies.%.60s%s%.60s", name, context ? "." : "",
              context ? key : "");
    if (conf_policy_given (r->conf, name, context ? key : NULL))
        return conf_fail (r, line, full, ": given twice");
    buf_t text = {.max = 1 << 16};
    int rc = context ? conf_read_value (r, full, &text) : 0;
    if (rc == 0)
        rc = conf_set_policy (r->conf, name, context ? key : NULL, text.data ? text.data : "",
                              where, r->err);
    buf_free (&text);
    if (rc == 0 && !context) {
        char *kept = strdup (name); /* the event's own is gone with it */
        rc = kept ? conf_read_lines (r, full, line, conf_read_policy, kept) : -1;
        free (kept);
    }
    return rc;
}

/*  From the start of the stream to its end: one document, a mapping of sections. Sections are read
 *  by conf_read_section, which takes all their events, so depth is 0 or 1 here. */
static int conf_read_document (reader_t *r)
{
    yaml_event_t event;
    size_t depth = 0, documents = 0;
    for (;;) {
        if (conf_next (r, &event) != 0)
            return -1;
        yaml_event_type_t type = event.type;
        size_t line = event.start_mark.line;
        int rc = 0;
        if (type == YAML_DOCUMENT_START_EVENT && documents++)
            rc = conf_fail (r, line, "a second document: a file holds one configuration", "");
        else if (type == YAML_MAPPING_START_EVENT)
            depth++;
        else if (type == YAML_SCALAR_EVENT && depth == 1 &&
                 strcmp ((const char *) event.data.scalar.value, "policies") == 0)
            rc = conf_read_lines (r, "policies", line, conf_read_policy, NULL);
        else if (type == YAML_SCALAR_EVENT && depth == 1)
            rc = conf_read_section (r, (const char *) event.data.scalar.value, line);
        else if (type == YAML_SCALAR_EVENT && event.data.scalar.length == 0)
            ; /* an empty file: all defaults */
        else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT)
            rc = conf_fail (r, line, "a file holds sections:  name:  and below it  key: value", "");
        yaml_event_delete (&event);
        if (rc != 0)
            return -1;
        if (type == YAML_STREAM_END_EVENT)
            return 0;
    }
}

/*  The parser reads the text in place, so the text has to stay until the end. */
static int conf_read_text (conf_t *conf, const char *text, size_t size, const char *name,
                           err_t *err)
{
    reader_t r = {.text = text, .size = size, .name = name, .conf = conf, .err = err};
    if (!yaml_parser_initialize (&r.parser))
        return err_set (err, ERR_LIMIT, "no memory");
    yaml_parser_set_input_string (&r.parser, (const unsigned char *) text, size);
    int rc = conf_read_document (&r);
    yaml_parser_delete (&r.parser);
    return rc;
}

/*  name: "ROLE.KEY", of team.roles. */
static int conf_override_words (conf_t *conf, char *name, const char *text, const char *where,
                                err_t *err)
{
    char *dot = strrchr (name, '.');
    if (!dot || dot == name)
        return err_set (err, ERR_CONFIG, "%s: team.roles.ROLE.prompt=TEXT is wanted, or .system",
                        where);
    *dot = 0;
    return conf_set_words (conf, name, dot + 1, text, where, err);
}

/*  "section.key=value", from a command line. The word itself is the place that errors name, as a
 *  file's line is for its keys. */
static int conf_set_override (conf_t *conf, const char *word, err_t *err)
{
    char name[NAME_MAX_BYTES], where[192];
    size_t size = strcspn (word, "=");
    snprintf (where, sizeof where, "--set %.150s", word);
    /* A name that does not fit is no key of ours; it becomes empty and is refused below. */
    memcpy (name, word, size < sizeof name ? size : 0);
    name[size < sizeof name ? size : 0] = 0;
    char *dot = strchr (name, '.');
    if (strcmp (word, "policies=") == 0) { /* one for all again, as team.policies says */
        conf_clear_policies (conf);
        return 0;
    }
    if (word[size] != '=' || !dot)
        return err_set (err, ERR_CONFIG,
                        "%s: section.key=value is wanted, such as trainer.steps=20", where);
    *dot = 0;
    if (strcmp (name, "policies") == 0)
        return conf_override_policy (conf, dot + 1, word + size + 1, where, err);
    const conf_section_t *section = conf_section (name);
    const conf_key_t *key = section ? conf_find (section, dot + 1) : NULL;
    if (!section)
        return conf_unknown (NULL, name, where, name, err);
    if (!key && strcmp (name, "team") == 0 && strncmp (dot + 1, "roles.", 6) == 0)
        return conf_override_words (conf, dot + 7, word + size + 1, where, err);
    *dot = '.'; /* errors name the whole key */
    if (!key)
        return conf_unknown (section, dot + 1, where, name, err);
    return conf_set (conf, section, key, word + size + 1, where, err);
}

/*  A program plays tasks of one family only, so that nobody has to name it. */
static int conf_settle_family (conf_t *conf, err_t *err)
{
    if (!*conf->task.program || *conf->task.family)
        return 0;
    free (conf->task.family);
    conf->task.family = strdup (family_by_program ()->name);
    return conf->task.family ? 0 : err_set (err, ERR_LIMIT, "no memory");
}

/*  Defaults, then the file, then overrides; checks come last, so that an override can mend what a
 *  file alone would not pass. */
conf_t *conf_parse (const char *text, size_t size, const char *name, const char *const *overrides,
                    size_t n, err_t *err)
{
    conf_t *conf = conf_defaults ();
    if (!conf) {
        err_set (err, ERR_LIMIT, "no memory for a configuration");
        return NULL;
    }
    int rc = (conf->file = strdup (name)) ? conf_read_text (conf, text, size, name, err)
                                          : err_set (err, ERR_LIMIT, "no memory");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = conf_set_override (conf, overrides[i], err);
    if (rc == 0)
        rc = conf_make_policies (conf, err);
    if (rc == 0)
        rc = conf_settle_family (conf, err);
    if (rc == 0)
        rc = conf_check (conf, err);
    if (rc == 0)
        rc = conf_make_protocol (conf, err);
    if (rc == 0)
        rc = conf_make_grade (conf, err);
    if (rc != 0)
        conf_destroy (&conf);
    return conf;
}

/*  NULL: the key has its default, or does not exist. */
const char *conf_where_of (const conf_t *conf, const char *name)
{
    const conf_section_t *section;
    const conf_key_t *key = conf_look_up (name, &section);
    return key ? conf->where[conf_index (section, key)] : NULL;
}

bool conf_given (const conf_t *conf, const char *key)
{
    return conf_where_of (conf, key) != NULL;
}

bool conf_samples (const conf_t *conf)
{
    static const char *const keys[] = {"evaluation.temperature", "evaluation.top_k",
                                       "evaluation.top_p", "evaluation.min_p",
                                       "evaluation.repetition_penalty"};
    bool given = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        given = given || conf_given (conf, keys[i]);
    return given;
}

/*  Errors begin with the place where the key was given, which may be a line of the file or "--set
 *  ...". */
int conf_refuse (const conf_t *conf, const char *key, err_t *err, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    const char *where = conf_where_of (conf, key);
    va_list args;
    va_start (args, fmt);
    vsnprintf (text, sizeof text, fmt, args);
    va_end (args);
    return err_set (err, ERR_CONFIG, "%s: %s %s", where ? where : conf->file, key, text);
}

int conf_wrap (const conf_t *conf, const char *key, err_t *err)
{
    const char *where = conf_where_of (conf, key);
    err->code = ERR_CONFIG;
    return err_wrap (err, "%s: %s", where ? where : conf->file, key);
}

conf_t *conf_load (const char *path, const char *const *overrides, size_t n, err_t *err)
{
    if (!path)
        return conf_parse ("", 0, "(no file)", overrides, n, err);
    buf_t text = {0};
    conf_t *conf = NULL;
    if (fs_read (path, CONF_FILE_MAX, &text, err) == 0)
        conf = conf_parse (text.data ? text.data : "", text.size, path, overrides, n, err);
    /* Whatever hinders the reading, the user named the file: it counts as a wrong configuration. */
    else if (err)
        err->code = ERR_CONFIG;
    buf_free (&text);
    if (conf && conf_resolve (conf, err) != 0)
        conf_destroy (&conf);
    return conf;
}

size_t conf_alone_tokens (const conf_t *conf)
{
    const char *const *whole = family_find (conf->task.family)->whole;
    size_t n = 0;
    while (whole && whole[n])
        n++;
    return (n ? n : 2) * (size_t) conf->task.max_tokens;
}

void conf_join (const conf_list_t *list, const char *between, buf_t *text)
{
    for (size_t i = 0; i < list->n; i++)
        buf_printf (text, "%s%s", i ? between : "", list->item[i]);
}
