/*  python - see python.h */
#include "task/python.h"

#include <string.h>

bool python_chance (rng_t *rng, double p)
{
    return rng_unit (rng) < p;
}

void python_comprehension (const char *map, const char *condition, const char *source, buf_t *out)
{
    bool same = strcmp (map, "x") == 0;
    if (same && !*condition)
        buf_text (out, source);
    else
        buf_printf (out, "[%s for x in %s%s%s]", map, source, *condition ? " if " : "", condition);
}

void python_reduction (const char *reduce, const char *map, const char *condition,
                       const char *source, buf_t *out)
{
    buf_t list = {0};
    python_comprehension (map, condition, source, &list);
    buf_printf (out, reduce, list.data);
    buf_free (&list);
}

void python_note (rng_t *rng, const char *what, buf_t *out)
{
    if (python_chance (rng, 0.3))
        buf_printf (out, "    \"\"\"Return %s of the given input.\"\"\"\n", what);
    if (python_chance (rng, 0.3))
        buf_printf (out, "    # now compute %s step by step\n", what);
}

void python_loop (const python_t *c, const char *head, const char *map, const char *condition,
                  const char *source, buf_t *out)
{
    buf_printf (out, "def %s:\n", head);
    python_note (c->rng, "the result for the list", out);
    buf_printf (out, "    out = []\n    for x in %s:\n", source);
    if (*condition)
        buf_printf (out, "        if %s:\n            out.append(%s)\n", condition, map);
    else
        buf_printf (out, "        out.append(%s)\n", map);
    buf_text (out, "    return ");
    if (c->reduce)
        buf_printf (out, c->reduce, "out");
    else
        buf_text (out, "out");
}

void python_break_bracket (rng_t *rng, buf_t *text)
{
    if (!python_chance (rng, 0.03))
        return;
    for (size_t i = text->size; i-- > 0;)
        if (text->data[i] == ')' || text->data[i] == ']') {
            memmove (text->data + i, text->data + i + 1, text->size - i);
            text->size--;
            return;
        }
}
