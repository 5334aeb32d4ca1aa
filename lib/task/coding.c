/*  coding - small Python functions, written by two agents in parallel: `aux`, and `main` which calls it.
 *
 *  The built-in set is every composition filter x map x reduce: "Return the sum of the squares of the even
 *  numbers in xs." Neither agent sees the other, so what aux takes and gives is a convention that the team
 *  has to find; the corpus mixes five of them:
 *
 *      map         aux (x)  = the mapped element
 *      predicate   aux (x)  = whether the filter takes it
 *      elements    aux (xs) = the list, filtered and mapped
 *      filtered    aux (xs) = the list, filtered
 *      reducer     aux (xs) = the reduction of a list
 */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "task/family.h"

#define TESTS        8
#define SYNONYMS_MAX 3

typedef struct {
    const char *code; /* an expression of x, or a reduction with %s for the list */
    const char *words[SYNONYMS_MAX];
} part_t;

static const part_t filters[] = {
    {"", {"numbers", "values", "elements"}},
    {"x % 2 == 0", {"even numbers", "even values", "numbers divisible by two"}},
    {"x % 2 == 1", {"odd numbers", "odd values", "numbers that are not even"}},
    {"x > 0", {"positive numbers", "positive values", "numbers above zero"}},
    {"x < 0", {"negative numbers", "negative values", "numbers below zero"}},
    {"x % 3 == 0", {"multiples of three", "numbers divisible by three", "multiples of 3"}},
    {"x > 5", {"numbers above five", "numbers greater than 5", "values above five"}},
    {"x < 5", {"numbers below five", "numbers less than 5", "values below five"}},
    {"x != 0", {"nonzero numbers", "numbers other than zero", "nonzero values"}},
    {"x % 5 == 0", {"multiples of five", "numbers divisible by five", "multiples of 5"}},
};

static const part_t maps[] = {
    {"x", {"", "", ""}},
    {"x * x", {"the squares of", "the second powers of", "the squared"}},
    {"x * x * x", {"the cubes of", "the third powers of", "the cubed"}},
    {"x * 2", {"twice", "the doubles of", "the doubled"}},
    {"x * 3", {"three times", "the triples of", "the tripled"}},
    {"-x", {"the negations of", "the opposites of", "the negated"}},
    {"abs(x)", {"the absolute values of", "the magnitudes of", "the sizes of"}},
    {"x + 1", {"one more than", "the successors of", "the increments of"}},
    {"x - 1", {"one less than", "the predecessors of", "the decrements of"}},
    {"x % 10", {"the remainders by ten of", "the last digits of", "the values modulo 10 of"}},
};

/*  Reductions over a list expression; each gives 0 or [] for an empty list. */
static const part_t reduces[] = {
    {"sum(%s)", {"the sum of", "the total of", "the added up"}},
    {"len(%s)", {"the number of", "the count of", "how many there are of"}},
    {"max(%s, default=0)", {"the largest of", "the maximum of", "the greatest of"}},
    {"min(%s, default=0)", {"the smallest of", "the minimum of", "the least of"}},
    {"sorted(%s)", {"in order", "sorted", "in ascending order"}},
    {"list(%s)", {"the list of", "a list of", "all of"}},
    {"len(set(%s))", {"the number of different", "the count of distinct", "how many different"}},
    {"sum(%s) %% 10",
     {"the last digit of the sum of", "the sum modulo 10 of",
      "the remainder by ten of the sum of"}},
};

#define FILTERS (sizeof filters / sizeof *filters)
#define MAPS    (sizeof maps / sizeof *maps)
#define REDUCES (sizeof reduces / sizeof *reduces)

static size_t builtin (const char *style)
{
    (void) style;
    return FILTERS * MAPS * REDUCES;
}

/*  ---- the generator's own idea of the functions, for the expected values -------------------------------- */

static long modulo (long x, long n)
{
    return ((x % n) + n) % n;
}

static bool keeps (size_t filter, long x)
{
    switch (filter) {
    case 1:
        return modulo (x, 2) == 0;
    case 2:
        return modulo (x, 2) == 1;
    case 3:
        return x > 0;
    case 4:
        return x < 0;
    case 5:
        return modulo (x, 3) == 0;
    case 6:
        return x > 5;
    case 7:
        return x < 5;
    case 8:
        return x != 0;
    case 9:
        return modulo (x, 5) == 0;
    default:
        return true;
    }
}

static long mapped (size_t map, long x)
{
    switch (map) {
    case 1:
        return x * x;
    case 2:
        return x * x * x;
    case 3:
        return x * 2;
    case 4:
        return x * 3;
    case 5:
        return -x;
    case 6:
        return x < 0 ? -x : x;
    case 7:
        return x + 1;
    case 8:
        return x - 1;
    case 9:
        return modulo (x, 10);
    default:
        return x;
    }
}

static size_t distinct (const long *values, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t j = 0;
        while (j < i && values[j] != values[i])
            j++;
        count += j == i;
    }
    return count;
}

static json_t *as_list (const long *values, size_t n, bool sorted)
{
    json_t *list = json_array ();
    for (size_t i = 0; i < n; i++) {
        size_t at = json_array_size (list);
        while (sorted && at > 0 && json_integer_value (json_array_get (list, at - 1)) > values[i])
            at--;
        json_array_insert_new (list, at, json_integer (values[i]));
    }
    return list;
}

static json_t *reduced (size_t reduce, const long *values, size_t n)
{
    long sum = 0, most = n ? values[0] : 0, least = most;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
        most = values[i] > most ? values[i] : most;
        least = values[i] < least ? values[i] : least;
    }
    switch (reduce) {
    case 0:
        return json_integer (sum);
    case 1:
        return json_integer ((json_int_t) n);
    case 2:
        return json_integer (most);
    case 3:
        return json_integer (least);
    case 4:
    case 5:
        return as_list (values, n, reduce == 4);
    case 6:
        return json_integer ((json_int_t) distinct (values, n));
    default:
        return json_integer (modulo (sum, 10));
    }
}

/*  Test 0 is the empty list, the others have 3 to 9 numbers from -12 to 20. */
static json_t *make_test (size_t f, size_t m, size_t r, rng_t *rng, size_t number)
{
    long values[16];
    size_t n = number ? 3 + rng_below (rng, 7) : 0, kept = 0;
    json_t *input = json_array ();
    for (size_t i = 0; i < n; i++) {
        long x = (long) rng_below (rng, 33) - 12;
        json_array_append_new (input, json_integer (x));
        if (keeps (f, x))
            values[kept++] = mapped (m, x);
    }
    return json_pack ("{s:[o], s:o}", "args", input, "result", reduced (r, values, kept));
}

/*  Three ways to say it. "the squared" and "the added up" fit where "of" would not. */
static void say (size_t f, size_t m, size_t r, rng_t *rng, buf_t *brief)
{
    static const char *const openings[] = {"Return", "Compute", "Give"};
    const char *filter = filters[f].words[rng_below (rng, SYNONYMS_MAX)];
    const char *map = maps[m].words[rng_below (rng, SYNONYMS_MAX)];
    const char *reduce = reduces[r].words[rng_below (rng, SYNONYMS_MAX)];
    const char *opening = openings[rng_below (rng, 3)];
    if (r == 4) /* "Return the squares of the even numbers in xs sorted." */
        buf_printf (brief, "%s %s%sthe %s in xs %s.", opening, map, *map ? " " : "", filter,
                    reduce);
    else
        buf_printf (brief, "%s %s %s%sthe %s in xs.", opening, reduce, map, *map ? " " : "",
                    filter);
}

static json_t *generate (const char *style, uint64_t seed, size_t i)
{
    (void) style;
    size_t r = i % REDUCES, m = i / REDUCES % MAPS, f = i / REDUCES / MAPS % FILTERS;
    rng_t rng = {.key = rng_key ((uint64_t[]){seed, 0xc0d1, i}, 3)};
    buf_t brief = {0};
    char id[64];
    snprintf (id, sizeof id, "coding/%zu-%zu-%zu", f, m, r);
    say (f, m, r, &rng, &brief);
    json_t *tests = json_array ();
    for (size_t t = 0; t < TESTS; t++)
        json_array_append_new (tests, make_test (f, m, r, &rng, t));
    json_t *task = json_pack ("{s:s, s:s, s:s, s:s, s:o}", "id", id, "family", "coding", "brief",
                              brief.data, "entry_point", "main", "tests", tests);
    json_object_set_new (task, "parts",
                         json_pack ("[I,I,I]", (json_int_t) f, (json_int_t) m, (json_int_t) r));
    buf_free (&brief);
    return task;
}

/*  ---- tasks from files ------------------------------------------------------------------------------------- */

static int adopt_tests (const json_t *task, err_t *err)
{
    const json_t *tests = json_object_get (task, "tests"), *test;
    size_t i;
    if (!json_is_array (tests) || json_array_size (tests) == 0)
        return err_set (
            err, ERR_INPUT,
            "needs \"tests\": [{\"args\": [...], \"result\": ...}, ...], or HumanEval's "
            "\"prompt\", \"entry_point\" and \"test\"");
    json_array_foreach (
        tests, i,
        test) if (!json_is_array (json_object_get (test, "args")) ||
                  !json_object_get (
                      test,
                      "result")) return err_set (err, ERR_INPUT,
                                                 "tests[%zu] needs \"args\": [...] and \"result\"",
                                                 i);
    return 0;
}

/*  A name as Python allows it, of ASCII. */
static bool is_identifier (const char *name)
{
    static const char bytes[] = "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *name && !strchr ("0123456789", *name) && strspn (name, bytes) == strlen (name);
}

/*  HumanEval: {"task_id", "prompt", "entry_point", "test"}; own: {"id", "brief", "tests", "entry_point"}. */
static int adopt (json_t *task, err_t *err)
{
    json_t *prompt = json_object_get (task, "prompt");
    if (json_is_string (prompt) && json_is_string (json_object_get (task, "test"))) {
        if (!*family_text (task, "entry_point"))
            return err_set (err, ERR_INPUT, "needs \"entry_point\": the name of the function");
        json_object_set (task, "brief", prompt);
        if (!*family_text (task, "id"))
            json_object_set (task, "id", json_object_get (task, "task_id"));
    } else {
        if (!*family_text (task, "brief"))
            return err_set (err, ERR_INPUT, "needs \"brief\": what the function shall do");
        if (adopt_tests (task, err) != 0)
            return -1;
        if (!*family_text (task, "entry_point"))
            json_object_set_new (task, "entry_point", json_string ("main"));
    }
    if (!is_identifier (family_text (task, "entry_point")))
        return err_set (err, ERR_INPUT, "\"entry_point\" '%.80s' is no name of a function",
                        family_text (task, "entry_point"));
    return *family_text (task, "id") ? 0 : err_set (err, ERR_INPUT, "needs \"id\": a text");
}

/*  ---- roles ------------------------------------------------------------------------------------------------ */

static bool is_helper (const char *role)
{
    return strcmp (role, "aux") == 0 || strcmp (role, "helper") == 0;
}

static void observe (const json_t *task, const char *role, buf_t *prompt)
{
    if (!json_is_string (json_object_get (task, "prompt"))) {
        buf_printf (prompt, "%s\n# %s\n", family_text (task, "brief"), role);
        return;
    }
    /* HumanEval: a model that was trained on code goes on with the file. */
    if (is_helper (role))
        buf_printf (prompt,
                    "# Write only one short helper function aux(...) that the function below may "
                    "call.\n\n%s\n\n# The helper:\ndef aux(",
                    family_text (task, "brief"));
    else if (strcmp (role, "main") == 0)
        buf_printf (prompt,
                    "# A helper function aux(...) is already defined and may be called.\n\n%s",
                    family_text (task, "brief"));
    else
        buf_text (prompt, family_text (task, "brief"));
}

/*  The code of an answer: what stands between the first two fences of Markdown, else all of it. */
static void code_of (const char *text, const char **code, size_t *size)
{
    const char *fence = strstr (text, "```");
    const char *begin = fence ? strchr (fence, '\n') : NULL;
    *code = begin ? begin + 1 : text;
    const char *end = begin ? strstr (begin, "```") : NULL;
    *size = end ? (size_t) (end - *code) : strlen (*code);
}

/*  How much of a function's body there is: a model of code that is not stopped goes on with the file, so the body
 *  ends before the first line that begins at the margin. A bracket there closes what the prompt began. */
static size_t body_of (const char *code, size_t size)
{
    for (const char *line = memchr (code, '\n', size); line;
         line = memchr (line, '\n', size - (size_t) (line - code))) {
        line++;
        if ((size_t) (line - code) < size && !strchr (" \t\r\n)]}", *line))
            return (size_t) (line - code);
    }
    return size;
}

/*  Whether an answer is a file of its own rather than the rest of one. */
static bool begins_file (const char *code)
{
    static const char *const begins[] = {"def ", "import ", "from ", "class ", "@", "#"};
    code += strspn (code, "\r\n");
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncmp (code, begins[i], strlen (begins[i])) == 0)
            return true;
    return false;
}

/*  A HumanEval completion goes on after its prompt; where it defines the function itself, it comes after a
 *  prompt that stands alone, for the sake of its imports. */
static void merge_human (const json_t *task, bool helper, const char *text, buf_t *artifact)
{
    char defines[160];
    const char *code;
    size_t size;
    snprintf (defines, sizeof defines, "def %.128s(", family_text (task, "entry_point"));
    code_of (text, &code, &size);
    const char *definition = strstr (code, helper ? "def aux(" : defines);
    bool whole = definition && definition < code + size && begins_file (code);
    if (helper && !whole)
        buf_text (artifact, "def aux(");
    else if (!helper)
        buf_printf (artifact, "%s%s", family_text (task, "brief"), whole ? "\n" : "");
    buf_append (artifact, code, whole ? size : body_of (code, size));
    buf_char (artifact, '\n');
}

/*  The file that the team hands in: helpers first. */
static void merge (const json_t *task, const char *const *roles, const char *const *texts, size_t n,
                   buf_t *artifact)
{
    bool human = json_is_string (json_object_get (task, "prompt"));
    for (int helpers = 1; helpers >= 0; helpers--)
        for (size_t i = 0; i < n; i++) {
            if (is_helper (roles[i]) != (helpers == 1))
                continue;
            if (human)
                merge_human (task, helpers == 1, texts[i], artifact);
            else
                buf_printf (artifact, "%s\n", texts[i]);
        }
}

/*  ---- the corpus ------------------------------------------------------------------------------------------- */

typedef enum { BY_MAP, BY_PREDICATE, BY_ELEMENTS, BY_FILTERED, BY_REDUCER, CONVENTIONS } by_t;

typedef struct {
    const char *filter, *map, *reduce; /* code */
    rng_t *rng;
} coder_t;

static bool chance (rng_t *rng, double p)
{
    return rng_unit (rng) < p;
}

/*  [map for x in source if condition], as short as it can be said. */
static void comprehension (const char *map, const char *condition, const char *source, bool bare,
                           buf_t *out)
{
    bool same = strcmp (map, "x") == 0;
    if (same && !*condition)
        buf_text (out, source);
    else
        buf_printf (out, "%s%s for x in %s%s%s%s", bare ? "" : "[", map, source,
                    *condition ? " if " : "", condition, bare ? "" : "]");
}

/*  The reduction of a list expression; sum takes a bare generator, the others brackets. */
static void reduction (const char *reduce, const char *map, const char *condition,
                       const char *source, buf_t *out)
{
    buf_t list = {0};
    comprehension (map, condition, source, false, &list);
    buf_printf (out, reduce, list.data);
    buf_free (&list);
}

/*  Three in ten functions have a docstring, three in ten a comment. */
static void note (rng_t *rng, const char *what, buf_t *out)
{
    if (chance (rng, 0.3))
        buf_printf (out, "    \"\"\"Return %s of the given input.\"\"\"\n", what);
    if (chance (rng, 0.3))
        buf_printf (out, "    # now compute %s step by step\n", what);
}

static void loop (const coder_t *c, const char *name, const char *map, const char *condition,
                  const char *source, buf_t *out)
{
    buf_printf (out, "def %s(xs):\n", name);
    note (c->rng, "the result for the list", out);
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

static void write_aux (const coder_t *c, by_t by, buf_t *out)
{
    rng_t *rng = c->rng;
    const char *condition = *c->filter ? c->filter : "True";
    coder_t plain = {.filter = c->filter, .map = c->map, .reduce = NULL, .rng = rng};
    if ((by == BY_ELEMENTS || by == BY_FILTERED) && chance (rng, 0.5)) {
        loop (&plain, "aux", by == BY_FILTERED ? "x" : c->map, c->filter, "xs", out);
        return;
    }
    bool element = by == BY_MAP || by == BY_PREDICATE;
    buf_printf (out, "def aux(%s):\n", element ? "x" : "xs");
    note (rng,
          by == BY_MAP         ? "the mapped value"
          : by == BY_PREDICATE ? "whether to keep the value"
          : by == BY_REDUCER   ? "the reduced list"
                               : "the list of values",
          out);
    buf_text (out, "    return ");
    if (element)
        buf_text (out, by == BY_MAP ? c->map : condition);
    else if (by == BY_REDUCER)
        buf_printf (out, c->reduce, "xs");
    else
        comprehension (by == BY_FILTERED ? "x" : c->map, c->filter, "xs", false, out);
}

/*  The same expression with x replaced by aux(x), for BY_MAP. */
static void write_main (const coder_t *c, by_t by, buf_t *out)
{
    rng_t *rng = c->rng;
    const char *map = by == BY_MAP ? "aux(x)" : by == BY_ELEMENTS ? "x" : c->map;
    const char *condition = by == BY_PREDICATE                       ? "aux(x)"
                            : by == BY_ELEMENTS || by == BY_FILTERED ? ""
                                                                     : c->filter;
    const char *source = by == BY_ELEMENTS || by == BY_FILTERED ? "aux(xs)" : "xs";
    const char *reduce = by == BY_REDUCER ? "aux(%s)" : c->reduce;
    coder_t mine = {.filter = c->filter, .map = c->map, .reduce = reduce, .rng = rng};
    if (by != BY_ELEMENTS && chance (rng, 0.5)) {
        loop (&mine, "main", map, condition, source, out);
        return;
    }
    buf_text (out, "def main(xs):\n");
    note (rng, "the result for the list", out);
    buf_text (out, "    return ");
    reduction (reduce, map, condition, source, out);
}

/*  One in thirty-three loses or gains a bracket. */
static void break_bracket (rng_t *rng, buf_t *text)
{
    if (!chance (rng, 0.03))
        return;
    for (size_t i = text->size; i-- > 0;)
        if (text->data[i] == ')' || text->data[i] == ']') {
            memmove (text->data + i, text->data + i + 1, text->size - i);
            text->size--;
            return;
        }
}

/*  Variables with other names: xs -> nums, x -> n. Names of functions stay. */
static void rename_variables (rng_t *rng, buf_t *text)
{
    if (!chance (rng, 0.3))
        return;
    buf_t out = {0};
    for (size_t i = 0; i < text->size; i++) {
        char before = i ? text->data[i - 1] : ' ', c = text->data[i];
        const char *after = text->data + i + 1;
        bool starts = !((before >= 'a' && before <= 'z') || before == '_');
        bool word = (*after >= 'a' && *after <= 'z');
        if (c == 'x' && starts && !word)
            buf_char (&out, 'n');
        else if (c == 'x' && starts && *after == 's' && !(after[1] >= 'a' && after[1] <= 'z')) {
            buf_text (&out, "ns");
            i++;
        } else
            buf_char (&out, c);
    }
    buf_clear (text);
    buf_append (text, out.data, out.size);
    buf_free (&out);
}

/*  One part in five texts is another one than the brief says. */
static void mistake (rng_t *rng, size_t *f, size_t *m, size_t *r)
{
    if (!chance (rng, 0.2))
        return;
    uint64_t which = rng_below (rng, 3);
    if (which == 0)
        *f = rng_below (rng, FILTERS);
    else if (which == 1)
        *m = rng_below (rng, MAPS);
    else
        *r = rng_below (rng, REDUCES);
}

static void reword (json_t *task, rng_t *rng)
{
    const json_t *parts = json_object_get (task, "parts");
    buf_t brief = {0};
    say ((size_t) json_integer_value (json_array_get (parts, 0)),
         (size_t) json_integer_value (json_array_get (parts, 1)),
         (size_t) json_integer_value (json_array_get (parts, 2)), rng, &brief);
    json_object_set_new (task, "brief", json_string (brief.data));
    buf_free (&brief);
}

static void imagine (const json_t *task, const char *role, rng_t *rng, buf_t *completion)
{
    const json_t *parts = json_object_get (task, "parts");
    size_t f = (size_t) json_integer_value (json_array_get (parts, 0));
    size_t m = (size_t) json_integer_value (json_array_get (parts, 1));
    size_t r = (size_t) json_integer_value (json_array_get (parts, 2));
    mistake (rng, &f, &m, &r);
    coder_t coder = {
        .filter = filters[f].code, .map = maps[m].code, .reduce = reduces[r].code, .rng = rng};
    by_t by = (by_t) rng_below (rng, CONVENTIONS);
    buf_t text = {0};
    if (!is_helper (role) && strcmp (role, "main") != 0) {
        write_aux (&coder, by, &text);
        buf_text (&text, "\n");
        write_main (&coder, by, &text);
    } else if (is_helper (role)) {
        write_aux (&coder, by, &text);
    } else {
        write_main (&coder, by, &text);
    }
    break_bracket (rng, &text);
    rename_variables (rng, &text);
    buf_append (completion, text.data, text.size);
    buf_free (&text);
}

static const char *const corpus_roles[] = {"aux", "main", "solo", NULL};

const family_t family_coding = {
    .name = "coding",
    .roles = {"aux", "main", "helper", "solo"},
    .turns = 1,
    .builtin = builtin,
    .generate = generate,
    .adopt = adopt,
    .observe = observe,
    .merge = merge,
    .reword = reword,
    .imagine = imagine,
    .corpus_roles = corpus_roles,
};
