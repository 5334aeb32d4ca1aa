/*  family - see family.h
 *
 *  The list of families.h is read twice: for the declarations, and for the table. Nothing else in
 *  the product names a family.
 */
#include "task/family.h"

#include <stdio.h>
#include <string.h>

#include "task/asks.h"
#include "task/families.h"

#define FAMILY_DECLARE(name) extern const family_t family_##name;
TASK_FAMILIES (FAMILY_DECLARE)

#define FAMILY_ADDRESS(name) &family_##name,

static const family_t *const all[] = {TASK_FAMILIES (FAMILY_ADDRESS)};

#define FAMILIES (sizeof all / sizeof *all)

const family_t *family_find (const char *name)
{
    for (size_t i = 0; i < FAMILIES; i++)
        if (strcmp (all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

const family_t *family_by_program (void)
{
    size_t i = 0;
    while (i < FAMILIES && !all[i]->by_program)
        i++;
    return i < FAMILIES ? all[i] : NULL;
}

static bool family_lists (const char *const *list, const char *name)
{
    while (*list && strcmp (*list, name) != 0)
        list++;
    return *list != NULL;
}

bool family_knows (const family_t *family, const char *role)
{
    return family->by_program || family_lists (family->roles, role);
}

/*  The templates of a style are a set of their own: "writing_prose"; those of the plain one have
 *  the family's name. */
bool family_asks (const family_t *family, const char *style, const char *role)
{
    char set[128];
    bool plain = strcmp (style, family->styles[0]) == 0;
    snprintf (set, sizeof set, "%.60s%s%.60s", family->name, plain ? "" : "_", plain ? "" : style);
    return family_knows (family, role) || asks_knows (set, role);
}

bool family_has_style (const family_t *family, const char *style)
{
    return family_lists (family->styles, style);
}

bool family_has_tool (const family_t *family, const char *tool)
{
    return family_lists (family->tools, tool);
}

const char *family_text (const json_t *object, const char *key)
{
    const char *text = json_string_value (json_object_get (object, key));
    return text ? text : "";
}
