/*  parse - see parse.h */
#include "text/parse.h"

#include <math.h>
#include <string.h>

/*  Whole numbers above this have neighbours that a double cannot tell apart. */
#define WHOLE_MAX 9007199254740992.0 /* 2^53 */

/*  A folder that was cloned without Git LFS holds such pointers in place of its large files. */
bool parse_is_pointer (const char *data, size_t size)
{
    static const char begin[] = "version https://git-lfs.github.com/spec/";
    return size >= sizeof begin - 1 && memcmp (data, begin, sizeof begin - 1) == 0;
}

/*  JSON has no such mark, and Python's json, which reads these files elsewhere, refuses it too. */
bool parse_has_mark (const char *data, size_t size)
{
    return size >= 3 && memcmp (data, "\xEF\xBB\xBF", 3) == 0;
}

/*  Whole numbers are read as doubles: a file may have one that no int64 holds, and only parse_whole
 *  says which can be used as an integer. */
json_t *parse_json (const char *text, size_t size, const char *name, err_t *err)
{
    json_error_t problem;
    if (parse_is_pointer (text, size)) {
        err_set (err, ERR_INPUT, "%s " PARSE_POINTER, name);
        return NULL;
    }
    if (parse_has_mark (text, size)) {
        err_set (err, ERR_INPUT, "%s " PARSE_MARK, name);
        return NULL;
    }
    json_t *root =
        json_loadb (text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &problem);
    if (json_is_object (root))
        return root;
    if (root)
        err_set (err, ERR_INPUT, "%s: is no JSON object", name);
    else
        err_set (err, ERR_INPUT, "%s: line %d: %s", name, problem.line, problem.text);
    json_decref (root);
    return NULL;
}

/*  The range is checked before the cast, which beyond it would be undefined. */
bool parse_whole (const json_t *value, int64_t *whole)
{
    double number = json_number_value (value);
    if (!json_is_number (value) || fabs (number) > WHOLE_MAX || number < floor (number) ||
        number > floor (number))
        return false;
    *whole = (int64_t) number;
    return true;
}

bool parse_ends_with (const char *name, const char *end)
{
    size_t n = strlen (name), m = strlen (end);
    return n >= m && strcmp (name + n - m, end) == 0;
}
