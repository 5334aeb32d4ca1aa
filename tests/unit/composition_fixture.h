/*  composition_fixture - what a composition is as a program, and Python asked about many of them.
 *
 *      buf_t code = {0};
 *      composition_body (parts, &code);                  "sum([x * x for x in xs if x > 0])"
 *      python_agrees (program, data);                    program reads json.loads (DATA)
 */
#ifndef QUINTET_TEST_COMPOSITION_FIXTURE_H
#define QUINTET_TEST_COMPOSITION_FIXTURE_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "task/composition.h"

static inline void composition_body (const size_t parts[3], buf_t *code)
{
    buf_t list = {0};
    buf_printf (&list, "[%s for x in xs if %s]", composition_maps[parts[1]].code,
                parts[0] ? composition_filters[parts[0]].code : "True");
    buf_printf (code, composition_reduces[parts[2]].code, list.data);
    buf_free (&list);
}

/*  The program ends without an error. */
static inline void python_agrees (const char *program, const json_t *data)
{
    /* As a literal of Python, which is a string of JSON, too. */
    char *json = json_dumps (data, JSON_COMPACT);
    json_t *text = json_string (json);
    char *literal = json_dumps (text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    FILE *python = popen ("python3 -", "w");
    assert_non_null (python);
    fprintf (python, "DATA = %s\n%s", literal, program);
    assert_int_equal (pclose (python), 0);
    free (json);
    free (literal);
    json_decref (text);
}

#endif
