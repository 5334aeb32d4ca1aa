/*  trace - see trace.h */
#include "trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "watch/lines.h"

#define TRACE_SPANS_MAX 1024

/*  ---- which ---------------------------------------------------------------------------------- */

/*  The last part of a path, a number, which is cut off. */
static int trace_cut_number (char *path, uint64_t *number)
{
    char *slash = strrchr (path, '/'), *end;
    if (!slash || slash == path || slash[1] < '0' || slash[1] > '9')
        return -1;
    *number = strtoull (slash + 1, &end, 10);
    if (*end)
        return -1;
    *slash = 0;
    return 0;
}

static int trace_name (trace_t *t, const char *place, err_t *err)
{
    snprintf (t->run, sizeof t->run, "%s", place);
    if (strlen (place) < sizeof t->run && trace_cut_number (t->run, &t->episode) == 0 &&
        trace_cut_number (t->run, &t->group) == 0 && trace_cut_number (t->run, &t->step) == 0)
        return 0;
    return err_set (err, ERR_CONFIG,
                    "'%.200s': an episode is wanted as FOLDER/STEP/GROUP/EPISODE, such as "
                    "runs/coding/12/3/0",
                    place);
}

/*  What is looked for, and what there is. */
typedef struct {
    const trace_t *trace;
    json_t *found;
    uint64_t lines, first_step, last_step, last_group;
} trace_search_t;

static uint64_t trace_number (const json_t *line, const char *key)
{
    json_int_t value = json_integer_value (json_object_get (line, key));
    return value > 0 ? (uint64_t) value : 0;
}

/*  The last line of a group counts: it was played again. */
static void trace_take (void *context, json_t *line)
{
    trace_search_t *search = context;
    const trace_t *t = search->trace;
    const char *phase = json_string_value (json_object_get (line, "phase"));
    uint64_t step = trace_number (line, "step"), group = trace_number (line, "group");
    if (!phase || strcmp (phase, wire_phase_name (t->phase)) != 0)
        return;
    if (search->lines++ == 0 || step < search->first_step)
        search->first_step = step;
    if (step > search->last_step)
        search->last_step = step;
    if (step == t->step && group > search->last_group)
        search->last_group = group;
    if (step != t->step || group != t->group)
        return;
    json_decref (search->found);
    search->found = json_incref (line);
}

static int trace_find (trace_t *t, err_t *err)
{
    trace_search_t search = {.trace = t};
    const char *phase = wire_phase_name (t->phase);
    char path[FS_PATH_MAX];
    if (fs_join (path, t->run, "traces.jsonl", err) != 0)
        return -1;
    int fd = fs_open (path, err);
    if (fd < 0)
        return err_wrap (err, "a run writes it while it goes on");
    close (fd);
    lines_each (t->run, "traces.1.jsonl", trace_take, &search);
    lines_each (t->run, "traces.jsonl", trace_take, &search);
    t->line = search.found;
    uint64_t episodes = trace_number (t->line, "episodes");
    if (t->line && t->episode < episodes)
        return 0;
    if (t->line)
        return err_set (err, ERR_INPUT, "%s: group %" PRIu64 " has the episodes 0 to %" PRIu64,
                        t->run, t->group, episodes ? episodes - 1 : 0);
    if (!search.lines)
        return err_set (err, ERR_INPUT,
                        "%s: its traces.jsonl has nothing of phase %s (--phase names another); a "
                        "run writes it while it goes on",
                        t->run, phase);
    if (search.last_group)
        return err_set (err, ERR_INPUT, "%s: step %" PRIu64 " (%s) has groups up to %" PRIu64,
                        t->run, t->step, phase, search.last_group);
    return err_set (err, ERR_INPUT,
                    "%s: there are traces of the steps %" PRIu64 " to %" PRIu64
                    " (%s), and none of step %" PRIu64 ", group %" PRIu64,
                    t->run, search.first_step, search.last_step, phase, t->step, t->group);
}

/*  ---- what it was made of -------------------------------------------------------------------- */

/*  NULL: there are too many. name: of a peer or a role, cut to fit. */
static trace_span_t *trace_add (trace_t *t, size_t parent, const char *service, const char *name,
                                int64_t begin_us, int64_t end_us)
{
    if (t->n == TRACE_SPANS_MAX)
        return NULL;
    trace_span_t *span = &t->span[t->n++];
    *span = (trace_span_t){.service = service,
                           .begin_us = begin_us,
                           .end_us = end_us < begin_us ? begin_us : end_us,
                           .parent = parent,
                           .turn = -1,
                           .tokens = -1};
    snprintf (span->name, sizeof span->name, "%s", name);
    return span;
}

static bool trace_has (const json_t *one, uint64_t episode)
{
    const json_t *episodes = json_object_get (one, "episodes"), *number;
    size_t i;
    if (!episodes)
        return true;
    json_array_foreach (episodes, i, number)
        if (json_integer_value (number) == (json_int_t) episode)
            return true;
    return false;
}

/*  Who does what is asked for so. */
static const char *trace_asked (const char *name)
{
    return strcmp (name, "act") == 0 ? "agent" : strcmp (name, "step") == 0 ? "program" : "reward";
}

/*  Behind what it asked stand the queue, the peer, and what of its time went into decoding. */
static void trace_add_answer (trace_t *t, const json_t *one, const char *name, size_t parent)
{
    const char *peer = json_string_value (json_object_get (one, "peer"));
    int64_t begin = t->span[parent].begin_us, all = t->span[parent].end_us - begin;
    int64_t waited = (int64_t) trace_number (one, "waited_us"),
            took = (int64_t) trace_number (one, "took_us"),
            decode = (int64_t) trace_number (one, "decode_us");
    took = took < all ? took : all;
    waited = waited < all - took ? waited : all - took;
    if (!peer)
        return;
    if (waited > 0)
        trace_add (t, parent, "bus", "queue", begin, begin + waited);
    size_t answer = t->n;
    int64_t end = begin + waited + took;
    trace_span_t *span =
        took > 0 ? trace_add (t, parent, trace_asked (name), peer, end - took, end) : NULL;
    if (!span)
        return;
    snprintf (span->instance, sizeof span->instance, "%s", peer);
    decode = decode < took ? decode : took;
    span =
        decode > 0 ? trace_add (t, answer, trace_asked (name), "decode", end - decode, end) : NULL;
    if (span)
        snprintf (span->instance, sizeof span->instance, "%s", peer);
}

static void trace_add_one (trace_t *t, const json_t *one, int64_t zero_us)
{
    const char *name = json_string_value (json_object_get (one, "name"));
    const char *environment = json_string_value (json_object_get (t->line, "service"));
    if (!name || !trace_has (one, t->episode))
        return;
    int64_t begin = zero_us + (int64_t) trace_number (one, "at_us");
    size_t at = t->n;
    const char *role = json_string_value (json_object_get (one, "role"));
    char whole[96];
    snprintf (whole, sizeof whole, "%s%s%s", name, role ? " " : "", role ? role : "");
    trace_span_t *span =
        trace_add (t, 0, "environment", whole, begin, begin + (int64_t) trace_number (one, "us"));
    if (!span)
        return;
    bool turns = strcmp (name, "score") != 0 && strcmp (name, "commit") != 0;
    span->role = role;
    span->turn = turns ? (int) trace_number (one, "turn") : -1;
    span->refusals = (int64_t) trace_number (one, "refusals");
    snprintf (span->instance, sizeof span->instance, "%s", environment ? environment : "");
    trace_add_answer (t, one, name, at);
}

/*  How many tokens the episode's completions have stands elsewhere. */
static void trace_take_tokens (void *context, json_t *line)
{
    trace_t *t = context;
    const char *role = json_string_value (json_object_get (line, "role"));
    if (!role || trace_number (line, "step") != t->step ||
        trace_number (line, "group") != t->group || trace_number (line, "episode") != t->episode)
        return;
    for (size_t i = 0; i < t->n; i++) {
        trace_span_t *span = &t->span[i];
        if (span->role && strcmp (span->role, role) == 0 &&
            span->turn == (int) trace_number (line, "turn") && strncmp (span->name, "act ", 4) == 0)
            span->tokens = (int64_t) trace_number (line, "tokens");
    }
}

static int trace_build (trace_t *t, err_t *err)
{
    const json_t *spans = json_object_get (t->line, "spans"), *one;
    const char *id = json_string_value (json_object_get (t->line, "trace"));
    int64_t claimed = (int64_t) trace_number (t->line, "time_us"),
            opened = (int64_t) trace_number (t->line, "opened_us");
    size_t i;
    if (!id || strlen (id) != sizeof t->id - 1 || strspn (id, "0123456789abcdef") != strlen (id) ||
        !claimed || !json_is_array (spans))
        return err_set (err, ERR_INPUT, "%s: the line of this group in traces.jsonl is damaged",
                        t->run);
    snprintf (t->id, sizeof t->id, "%s", id);
    t->span = calloc (TRACE_SPANS_MAX, sizeof *t->span);
    if (!t->span)
        return err_set (err, ERR_LIMIT, "no memory for a trace");
    /* Another host's clock may say that it was claimed before it was opened. */
    opened = opened > 0 && opened < claimed ? opened : claimed;
    trace_add (t, TRACE_ROOT, "trainer", "episode", opened, claimed);
    if (opened < claimed)
        trace_add (t, 0, "trainer", "wait for an environment", opened, claimed);
    json_array_foreach (spans, i, one)
        trace_add_one (t, one, claimed);
    for (i = 0; i < t->n; i++)
        if (t->span[i].end_us > t->span[0].end_us)
            t->span[0].end_us = t->span[i].end_us;
    if (t->phase == WIRE_TRAIN)
        lines_each (t->run, "completions.jsonl", trace_take_tokens, t);
    return 0;
}

trace_t *trace_read (const char *place, wire_phase_t phase, err_t *err)
{
    trace_t *t = calloc (1, sizeof *t);
    if (!t) {
        err_set (err, ERR_LIMIT, "no memory for a trace");
        return NULL;
    }
    t->phase = phase;
    if (trace_name (t, place, err) != 0 || trace_find (t, err) != 0 || trace_build (t, err) != 0)
        trace_destroy (&t);
    return t;
}

void trace_destroy (trace_t **self)
{
    if (!*self)
        return;
    free ((*self)->span);
    json_decref ((*self)->line);
    free (*self);
    *self = NULL;
}
