/*  api - what a browser asks for, as JSON. Private to the service; see monitor.h
 *
 *      /api/runs                      every run, with its evaluations and its configuration's words
 *      /api/metrics?run=R             its steps and evaluations, as columns: of many every k-th,
 *                                     k being "every"; &first=A&last=B: those of these steps
 *      /api/metrics?run=R&from=N      all of them from byte N on
 *      /api/episodes?run=R&from=N     a line for each of its episodes
 *      /api/episode?run=R&at=N        one of them in full
 *      /api/services                  as `quintet top --json`
 *      /api/stream                    what changes, once a second
 *
 *  Of files a window is read at a time: "next" is where to go on, "more" says that there is more
 *  already, and "again" that the file is another one than it was, so that what was read is void.
 */
#include "monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch/prompts.h"

#define API_MAX     ((size_t) 32 << 20) /* bytes of an answer */
#define API_CELLS   ((size_t) 4 << 20)  /* numbers of a table: each line may have other keys */
#define API_WORDS   160                 /* characters of a brief or a verdict in a list */
#define API_WINDOWS 64                  /* of completions, that are looked through for an episode */

/*  Takes the object. */
static void api_put (web_answer_t *answer, json_t *object, size_t digits)
{
    size_t flags = JSON_COMPACT | JSON_REAL_PRECISION (digits);
    char *text = object ? json_dumps (object, flags) : NULL;
    answer->body.max = API_MAX;
    if (text)
        buf_text (&answer->body, text);
    free (text);
    json_decref (object);
}

static void api_answer_runs (monitor_t *m, const web_request_t *request, web_answer_t *answer)
{
    (void) request;
    api_put (answer, json_pack ("{s:o}", "runs", runs_json (m->runs)), 12);
}

static void api_answer_services (monitor_t *m, const web_request_t *request, web_answer_t *answer)
{
    (void) request;
    pthread_mutex_lock (&m->lock);
    rows_sort (&m->rows, ROWS_BY_NAME, "");
    json_t *services = rows_json (&m->rows);
    pthread_mutex_unlock (&m->lock);
    api_put (answer, services, 6);
}

static void api_answer_stream (monitor_t *m, const web_request_t *request, web_answer_t *answer)
{
    (void) m;
    (void) request;
    answer->stream = true;
}

/*  ---- windows of files ----------------------------------------------------------------------- */

/*  A number of the query, or what it is where it is not there; -1: it is none. */
static int api_number (const web_request_t *request, const char *key, uint64_t otherwise,
                       uint64_t *number)
{
    const char *text = web_query (request, key);
    char *end = NULL;
    errno = 0;
    *number = text ? strtoull (text, &end, 10) : otherwise;
    return text && (*text < '0' || *text > '9' || *end || errno) ? -1 : 0;
}

/*  From where the query says, 0 unless it does. */
static int api_read (monitor_t *m, const web_request_t *request, const char *key, runs_file_t file,
                     window_t *window, web_answer_t *answer)
{
    const char *run = web_query (request, "run");
    uint64_t at;
    if (!run || api_number (request, key, 0, &at) != 0) {
        web_refuse (answer, 400, "wanted is run=NAME, and %s=BYTES", key);
        return -1;
    }
    if (runs_read (m->runs, run, file, at, window) != 0) {
        web_refuse (answer, 404, "there is no such run, or it has none of these yet");
        return -1;
    }
    return 0;
}

static json_t *api_window (const window_t *w)
{
    return json_pack ("{s:I, s:b, s:b}", "next", (json_int_t) w->next, "more", (int) w->more,
                      "again", (int) w->again);
}

/*  Six digits are more than a chart shows; a time needs them all. */
static double api_rounded (const char *key, double value)
{
    char text[32];
    if (strcmp (key, "time_s") == 0)
        return value;
    snprintf (text, sizeof text, "%.6g", value);
    return strtod (text, NULL);
}

typedef struct {
    json_t *columns; /* name: numbers, null where a line has none */
    size_t rows;
    bool large; /* it would have more than API_CELLS */
} table_t;

static void api_pad (json_t *column, size_t rows)
{
    while (json_array_size (column) < rows && json_array_append_new (column, json_null ()) == 0)
        ;
}

/*  Of steps, of evaluations. */
static void api_take_line (void *context, json_t *line)
{
    table_t *tables = context;
    const char *event = json_string_value (json_object_get (line, "event")), *key;
    table_t *table = !event                        ? NULL
                     : strcmp (event, "step") == 0 ? &tables[0]
                     : strcmp (event, "eval") == 0 ? &tables[1]
                                                   : NULL;
    json_t *value;
    if (!table || table->large)
        return;
    json_object_foreach (line, key, value) {
        if (!json_is_number (value))
            continue;
        json_t *column = json_object_get (table->columns, key);
        if (!column) {
            table->large = (json_object_size (table->columns) + 1) * (table->rows + 1) > API_CELLS;
            if (table->large)
                return;
            column = json_array ();
            json_object_set_new (table->columns, key, column);
        }
        api_pad (column, table->rows);
        /* A key that stands twice in a line counts once: jansson takes the last. */
        json_array_append_new (column, json_real (api_rounded (key, json_number_value (value))));
    }
    table->rows++;
    table->large = json_object_size (table->columns) * table->rows > API_CELLS;
}

static json_t *api_columns (table_t *table)
{
    const char *key;
    json_t *column;
    json_object_foreach (table->columns, key, column)
        api_pad (column, table->rows);
    return table->columns;
}

/*  Of those that are there already, to begin with. */
static json_t *api_sample (monitor_t *m, const web_request_t *request, table_t *tables,
                           runs_sample_t *sample, web_answer_t *answer)
{
    sample->each = api_take_line;
    sample->context = tables;
    if (runs_sample (m->runs, web_query (request, "run"), sample) != 0) {
        web_refuse (answer, 404, "there is no such run");
        return NULL;
    }
    return json_pack ("{s:I, s:I, s:b, s:b}", "every", (json_int_t) sample->every, "next",
                      (json_int_t) sample->next, "more", (int) sample->more, "again", 0);
}

/*  What was added since. */
static json_t *api_grown (monitor_t *m, const web_request_t *request, table_t *tables,
                          web_answer_t *answer)
{
    window_t w;
    if (api_read (m, request, "from", RUNS_METRICS, &w, answer) != 0)
        return NULL;
    for (window_line_t l = {0}; window_line (&w, &l);) {
        json_t *line = window_object (&l);
        api_take_line (tables, line);
        json_decref (line);
    }
    buf_free (&w.text);
    return api_window (&w);
}

/*  sample NULL: what was added. */
static void api_make_metrics (monitor_t *m, const web_request_t *request, runs_sample_t *sample,
                              web_answer_t *answer)
{
    table_t tables[2] = {{.columns = json_object ()}, {.columns = json_object ()}};
    json_t *found = sample ? api_sample (m, request, tables, sample, answer)
                           : api_grown (m, request, tables, answer);
    if (found && (tables[0].large || tables[1].large)) {
        web_refuse (answer, 507, "its lines have too many different keys for a table");
    } else if (found) {
        json_object_set (found, "steps", api_columns (&tables[0]));
        json_object_set (found, "evaluations", api_columns (&tables[1]));
        api_put (answer, json_incref (found), 13);
    }
    json_decref (found);
    json_decref (tables[0].columns);
    json_decref (tables[1].columns);
}

/*  A sample is kept as long as the file stays as it is. One of a file that was not read to its end
 *  is asked for again. */
static void api_answer_metrics (monitor_t *m, const web_request_t *request, web_answer_t *answer)
{
    const char *run = web_query (request, "run");
    uint64_t first, last;
    buf_t key = {0};
    if (web_query (request, "from")) {
        api_make_metrics (m, request, NULL, answer);
        return;
    }
    if (!run || api_number (request, "first", 0, &first) != 0 ||
        api_number (request, "last", INT64_MAX, &last) != 0 || first > INT64_MAX ||
        last > INT64_MAX) {
        web_refuse (answer, 400, "wanted is run=NAME, and first=STEP and last=STEP");
        return;
    }
    runs_stamp (m->runs, run, &key);
    if (key.size)
        buf_printf (&key, " %" PRIu64 " %" PRIu64, first, last);
    if (!bodies_give (&m->kept, &key, &answer->body)) {
        runs_sample_t sample = {.first = (int64_t) first, .last = (int64_t) last};
        api_make_metrics (m, request, &sample, answer);
        if (!answer->status && !sample.more)
            bodies_add (&m->kept, &key, &answer->body);
    }
    buf_free (&key);
}

/*  ---- episodes ------------------------------------------------------------------------------- */

/*  The first characters of a string, whole ones. */
static json_t *api_words (const json_t *string)
{
    const char *text = json_string_value (string);
    size_t n = text ? json_string_length (string) : 0;
    if (n <= API_WORDS)
        return text ? json_stringn (text, n) : json_null ();
    n = API_WORDS;
    while (n > 0 && ((unsigned char) text[n] & 0xc0) == 0x80)
        n--;
    return json_stringn (text, n);
}

static double api_tokens (const json_t *episode)
{
    const json_t *turn, *action;
    size_t t, a;
    double tokens = 0;
    json_array_foreach (json_object_get (episode, "turns"), t, turn)
        json_array_foreach (json_object_get (turn, "actions"), a, action)
            tokens += json_number_value (json_object_get (action, "tokens"));
    return tokens;
}

static bool api_holds (const json_t *list, json_type type)
{
    const json_t *one;
    size_t i;
    json_array_foreach (list, i, one)
        if (json_typeof (one) != type)
            return false;
    return json_is_array (list);
}

/*  Why a page cannot show a line as an episode; NULL: it can. Nothing that it may lack is asked
 *  for. */
static const char *api_fault (const json_t *episode)
{
    const json_t *roles = json_object_get (episode, "roles"),
                 *turns = json_object_get (episode, "turns"), *turn, *tool;
    const char *role;
    size_t t;
    if (!episode)
        return "it is no JSON object";
    if (!json_is_integer (json_object_get (episode, "step")) ||
        !json_is_string (json_object_get (episode, "phase")))
        return "it does not say of which step and phase it is";
    if (roles && !api_holds (roles, JSON_STRING))
        return "its roles are no list of names";
    if (turns && !api_holds (turns, JSON_OBJECT))
        return "its turns are no list of objects";
    json_array_foreach (turns, t, turn) {
        const json_t *actions = json_object_get (turn, "actions");
        if (actions && !api_holds (actions, JSON_OBJECT))
            return "the actions of a turn are no list of objects";
        json_object_foreach (json_object_get (turn, "tools"), role, tool)
            if (!json_is_object (tool))
                return "what a tool found is no object";
    }
    return NULL;
}

static json_t *api_listed (const json_t *line, uint64_t at)
{
    const json_t *reward = json_object_get (line, "reward"), *task = json_object_get (line, "task");
    json_t *object = json_object ();
    json_object_set_new (object, "at", json_integer ((json_int_t) at));
    static const char *const kept[] = {"step", "phase", "roles"}, *const of[] = {"reward",
                                                                                 "success"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        json_object_set (object, kept[i], json_object_get (line, kept[i]));
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        json_object_set (object, of[i], json_object_get (reward, of[i]));
    json_object_set_new (object, "task", api_words (json_object_get (task, "id")));
    json_object_set_new (object, "brief", api_words (json_object_get (task, "brief")));
    json_object_set_new (object, "verdict", api_words (json_object_get (reward, "verdict")));
    json_object_set_new (
        object, "turns",
        json_integer ((json_int_t) json_array_size (json_object_get (line, "turns"))));
    json_object_set_new (object, "tokens", json_real (api_tokens (line)));
    return object;
}

static void api_answer_episodes (monitor_t *m, const web_request_t *request, web_answer_t *answer)
{
    window_t w;
    if (api_read (m, request, "from", RUNS_EPISODES, &w, answer) != 0)
        return;
    json_t *list = json_array (), *faults = json_array ();
    window_line_t l = {0};
    while (window_line (&w, &l)) {
        json_t *episode = l.n ? window_object (&l) : NULL;
        const char *fault = l.n ? api_fault (episode) : NULL;
        if (fault)
            json_array_append_new (
                faults, json_pack ("{s:I, s:s}", "line", (json_int_t) l.number, "fault", fault));
        else if (episode)
            json_array_append_new (list, api_listed (episode, l.at));
        json_decref (episode);
    }
    json_t *found = api_window (&w);
    json_object_set_new (found, "episodes", list);
    json_object_set_new (found, "faults", faults);
    json_object_set_new (found, "lines", json_integer ((json_int_t) l.number));
    api_put (answer, found, 13);
    buf_free (&w.text);
}

/*  The action that a line of completions.jsonl is about; its text is the proof. */
static json_t *api_action_of (const json_t *episode, const json_t *line)
{
    size_t turn = (size_t) json_integer_value (json_object_get (line, "turn")), a;
    const json_t *list = json_array_get (json_object_get (episode, "turns"), turn);
    json_t *action;
    json_array_foreach (json_object_get (list, "actions"), a, action)
        if (json_equal (json_object_get (action, "role"), json_object_get (line, "role")) &&
            json_equal (json_object_get (action, "text"), json_object_get (line, "text")))
            return action;
    return NULL;
}

static void api_add_advantage (json_t *episode, const window_line_t *from)
{
    json_t *line = window_object (from);
    json_t *action = json_integer_value (json_object_get (line, "episode")) == 0
                         ? api_action_of (episode, line)
                         : NULL;
    if (action && json_is_number (json_object_get (line, "advantage")))
        json_object_set (action, "advantage", json_object_get (line, "advantage"));
    json_decref (line);
}

/*  Older runs' have none. */
static bool api_has_advantages (const json_t *episode)
{
    const json_t *turns = json_object_get (episode, "turns");
    const json_t *actions = json_object_get (json_array_get (turns, 0), "actions");
    return json_object_get (json_array_get (actions, 0), "advantage") != NULL;
}

/*  The episode of a step that is written down is the first of its first group; what its completions
 *  were worth stands in another file, under the step and the task. */
static void api_add_advantages (monitor_t *m, const char *run, json_t *episode)
{
    buf_t wanted = {0};
    const char *phase = json_string_value (json_object_get (episode, "phase"));
    char *id = json_dumps (json_object_get (json_object_get (episode, "task"), "id"),
                           JSON_COMPACT | JSON_ENCODE_ANY);
    buf_printf (&wanted, "{\"step\":%lld,\"task\":%s,",
                (long long) json_integer_value (json_object_get (episode, "step")), id ? id : "");
    free (id);
    bool more =
        phase && strcmp (phase, "train") == 0 && wanted.data && !api_has_advantages (episode);
    window_t w = {0};
    for (int i = 0; more && i < API_WINDOWS; i++) {
        more = runs_read (m->runs, run, RUNS_COMPLETIONS, w.next, &w) == 0 && w.more;
        for (window_line_t l = {0}; window_line (&w, &l);)
            if (l.n > wanted.size && memcmp (l.text, wanted.data, wanted.size) == 0)
                api_add_advantage (episode, &l);
        buf_free (&w.text);
    }
    buf_free (&wanted);
}

/*  For a message alone, so from the beginning. */
static size_t api_line_number (monitor_t *m, const char *run, uint64_t at)
{
    size_t lines = 0;
    window_t w = {0};
    for (bool more = true; more && w.next < at; buf_free (&w.text)) {
        more = runs_read (m->runs, run, RUNS_EPISODES, w.next, &w) == 0 && w.more;
        for (window_line_t l = {0}; window_line (&w, &l) && l.at < at;)
            lines++;
    }
    return lines + 1;
}

static void api_answer_episode (monitor_t *m, const web_request_t *request, web_answer_t *answer)
{
    window_t w;
    if (api_read (m, request, "at", RUNS_EPISODES, &w, answer) != 0)
        return;
    window_line_t l = {0};
    bool found = !w.again && window_line (&w, &l);
    json_t *episode = found ? window_object (&l) : NULL;
    const char *fault = api_fault (episode);
    buf_free (&w.text);
    if (fault) {
        json_decref (episode);
        if (found)
            web_refuse (answer, 422, "line %zu of its episodes cannot be read: %s",
                        api_line_number (m, web_query (request, "run"), w.from), fault);
        else
            web_refuse (answer, 404, "no episode begins there");
        return;
    }
    prompts_add (episode);
    api_add_advantages (m, web_query (request, "run"), episode);
    api_put (answer, episode, 9);
}

/*  ---- all of them ---------------------------------------------------------------------------- */

void api_answer (void *monitor, const web_request_t *request, web_answer_t *answer)
{
    static const struct {
        const char *path;
        void (*answer) (monitor_t *m, const web_request_t *request, web_answer_t *answer);
    } paths[] = {{"/api/runs", api_answer_runs},
                 {"/api/metrics", api_answer_metrics},
                 {"/api/episodes", api_answer_episodes},
                 {"/api/episode", api_answer_episode},
                 {"/api/services", api_answer_services},
                 {"/api/stream", api_answer_stream},
                 {"/metrics", scrape_answer}};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp (paths[i].path, web_path (request)) == 0) {
            paths[i].answer (monitor, request, answer);
            return;
        }
    web_refuse (answer, 404, "there is no such page");
}
