/*  completions - see completions.h */
#include "completions.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"

#define CURRENT "completions.jsonl"
#define BEFORE  "completions.1.jsonl"

/*  Half of what may be kept: there are two files. */
static size_t completions_room (const trainer_t *t)
{
    return (size_t) t->conf->run.completions_mb * 1000000 / 2;
}

/*  ---- lines ---------------------------------------------------------------------------------- */

/*  What a role said in a turn, as the environment wrote it down; NULL: nothing. Borrowed. */
static json_t *completions_text (const json_t *history, size_t turn, const char *role)
{
    json_t *actions =
        json_object_get (json_array_get (json_object_get (history, "turns"), turn), "actions");
    size_t i;
    json_t *action;
    json_array_foreach (actions, i, action) {
        const char *its = json_string_value (json_object_get (action, "role"));
        if (its && strcmp (its, role) == 0)
            return json_object_get (action, "text");
    }
    return NULL;
}

/*  What all completions of an episode have in common stands in each of their lines, so that a line
 *  can be read, filtered and counted by itself. */
static void completions_add_reward (json_t *line, const wire_reward_t *reward)
{
    json_t *parts = json_object ();
    for (size_t p = 0; p < reward->parts_n; p++)
        json_object_set_new (parts, reward->parts[p].name, json_real (reward->parts[p].value));
    const wire_part_t figures[] = {{"reward", reward->reward},
                                   {"quality", reward->quality},
                                   {"speed", reward->speed},
                                   {"cost", reward->cost}};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        json_object_set_new (line, figures[i].name,
                             reward->unscored ? json_null () : json_real (figures[i].value));
    json_object_set_new (line, "success",
                         reward->unscored ? json_null () : json_boolean (reward->success));
    json_object_set_new (line, "parts", parts);
}

/*  The version is that which wrote it: the one before the step's update. */
static json_t *completions_line (const trainer_t *t, const char *task, size_t group, size_t e,
                                 size_t c, const json_t *history)
{
    const rollout_t *r = t->rollout;
    const wire_episode_t *episode = r->episode[e];
    const wire_completion_t *completion = &episode->completions[c];
    const char *role = t->conf->team.roles.item[completion->role];
    const policy_t *policy = team_policy (&t->team, completion->role);
    /* "step" has to stay the first key: completions_show and completions_true_size find it without
       parsing the line. */
    json_t *line = json_pack (
        "{s:I, s:s, s:I, s:I, s:s, s:I, s:s, s:I, s:I, s:b, s:f}", "step", (json_int_t) t->done,
        "task", task, "group", (json_int_t) group, "episode",
        (json_int_t) (e - r->first_episode[group]), "role", role, "turn",
        (json_int_t) completion->turn, "policy", policy->name, "version",
        (json_int_t) (t->done - 1), "tokens", (json_int_t) completion->ids.n, "truncated",
        (int) !completion->stopped, "advantage", t->credit.advantages[r->first_completion[e] + c]);
    completions_add_reward (line, &episode->reward);
    double local = rollout_local (&episode->reward, role);
    if (isfinite (local))
        json_object_set_new (line, "local", json_real (local));
    /* null where the environment wrote down no action of the role in that turn. */
    json_t *text = completions_text (history, completion->turn, role);
    json_object_set (line, "text", text ? text : json_null ());
    return line;
}

/*  Group by group: a history is parsed once for all completions of its episode. */
static void completions_print_group (const trainer_t *t, size_t group, buf_t *text)
{
    const rollout_t *r = t->rollout;
    json_t *task = json_loads (r->task[group] ? r->task[group] : "", 0, NULL);
    const char *id = json_string_value (json_object_get (task, "id"));
    for (size_t e = r->first_episode[group]; e < r->first_episode[group + 1]; e++) {
        json_t *history = json_loads (r->episode[e]->history, 0, NULL);
        for (size_t c = 0; c < r->episode[e]->completions_n; c++) {
            json_t *line = completions_line (t, id ? id : "", group, e, c, history);
            /* 9 digits: enough to tell any two numbers of float32 apart. */
            char *json = json_dumps (line, JSON_COMPACT | JSON_REAL_PRECISION (9));
            buf_text (text, json ? json : "");
            buf_text (text, json ? "\n" : "");
            free (json);
            json_decref (line);
        }
        json_decref (history);
    }
    json_decref (task);
}

/*  ---- texts beside the curves ---------------------------------------------------------------- */

/*  Which roles of a step have been shown. */
typedef struct {
    unsigned long long step;
    uint64_t roles; /* bits */
} shown_t;

/*  Indented by four: a block of code in Markdown. */
static void completions_print_block (const char *text, buf_t *out)
{
    while (*text) {
        size_t n = strcspn (text, "\n");
        buf_text (out, "    ");
        buf_append (out, text, n);
        buf_char (out, '\n');
        text += n + (text[n] == '\n');
    }
}

/*  Shows a line's completion when it is its role's first one in its step. */
static int completions_show (const trainer_t *t, shown_t *shown, const char *line, err_t *err)
{
    unsigned long long step = 0;
    char tag[128];
    if (sscanf (line, "{\"step\":%llu", &step) != 1)
        return 0;
    if (step != shown->step)
        *shown = (shown_t){.step = step};
    /* All roles of this step are shown; the rest of its lines, most of them, need not be parsed. */
    if (shown->roles + 1 == (uint64_t) 1 << t->team.roles)
        return 0;
    json_t *object = json_loads (line, 0, NULL);
    const char *role = json_string_value (json_object_get (object, "role"));
    const char *text = json_string_value (json_object_get (object, "text"));
    const char *task = json_string_value (json_object_get (object, "task"));
    size_t r = 0;
    int rc = 0;
    while (role && r < t->team.roles && strcmp (t->conf->team.roles.item[r], role) != 0)
        r++;
    if (role && text && task && r < t->team.roles && !(shown->roles >> r & 1)) {
        buf_t markdown = {0};
        shown->roles |= (uint64_t) 1 << r;
        buf_printf (&markdown, "`%s`: reward %.3f, advantage %.3f\n\n", task,
                    json_number_value (json_object_get (object, "reward")),
                    json_number_value (json_object_get (object, "advantage")));
        completions_print_block (text, &markdown);
        snprintf (tag, sizeof tag, "completions/%.100s", role);
        rc = buf_failed (&markdown) ? err_set (err, ERR_LIMIT, "no memory for a text")
                                    : metrics_text (t->metrics, step, tag, markdown.data, err);
        buf_free (&markdown);
    }
    json_decref (object);
    return rc;
}

/*  Of the lines of a step, or of many. */
static int completions_show_all (const trainer_t *t, FILE *file, err_t *err)
{
    shown_t shown = {0};
    char *line = NULL;
    size_t capacity = 0;
    int rc = 0;
    while (rc == 0 && getline (&line, &capacity, file) > 0)
        rc = completions_show (t, &shown, line, err);
    free (line);
    return rc;
}

/*  ---- files ---------------------------------------------------------------------------------- */

/*  The whole lines that fit into `room` bytes. */
static size_t completions_fitting (const buf_t *text, size_t room)
{
    size_t n = text->size < room ? text->size : room;
    while (n && text->data[n - 1] != '\n')
        n--;
    return n;
}

/*  A line that was cut by a full disk is found by the next start, which cuts it off. */
static int completions_write (const char *path, const char *data, size_t size, err_t *err)
{
    FILE *file = fopen (path, "ae");
    int rc = !file || fwrite (data, 1, size, file) != size ? -1 : 0;
    if (file && fclose (file) != 0)
        rc = -1;
    return rc == 0 ? 0 : err_errno (err, ERR_IO, "%s: cannot write", path);
}

/*  Appended before the checkpoint of the step is written. A trainer that dies in between plays the
 *  step again, and completions_cut takes these lines away before. */
int completions_add (const trainer_t *t, err_t *err)
{
    char path[FS_PATH_MAX], before[FS_PATH_MAX];
    size_t room = completions_room (t);
    /* run.completions_mb: 0 keeps none. */
    if (room == 0)
        return 0;
    if (fs_join (path, t->dir, CURRENT, err) != 0 || fs_join (before, t->dir, BEFORE, err) != 0)
        return -1;
    buf_t text = {.max = SIZE_MAX};
    /* Dead groups have no completions. */
    for (size_t g = 0; g < t->rollout->groups; g++)
        if (t->rollout->group[g])
            completions_print_group (t, g, &text);
    struct stat st;
    int rc = buf_failed (&text) ? err_set (err, ERR_LIMIT, "%s: no memory for a step", path) : 0;
    size_t n = rc == 0 ? completions_fitting (&text, room) : 0;
    if (rc == 0 && n < text.size)
        log_warn ("completions.cut", "step=%llu bytes=%zu room=%zu", (unsigned long long) t->done,
                  text.size, room);
    /* Sizes alone decide, not the time or the start of a process: a resumed run rotates where the
       other would have. */
    if (rc == 0 && stat (path, &st) == 0 && (size_t) st.st_size + n > room &&
        rename (path, before) != 0)
        rc = err_errno (err, ERR_IO, "%s: cannot rename", path);
    if (rc == 0)
        rc = completions_write (path, text.data, n, err);
    /* Read from memory as from the file, so that a resume draws what was drawn here. */
    FILE *lines = rc == 0 && n ? fmemopen (text.data, n, "r") : NULL;
    if (lines) {
        rc = completions_show_all (t, lines, err);
        fclose (lines);
    }
    buf_free (&text);
    return rc;
}

/*  The curves' file is written anew by every start, so these are shown again. */
int completions_redraw (const trainer_t *t, err_t *err)
{
    static const char *const names[] = {BEFORE, CURRENT};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        char path[FS_PATH_MAX];
        if (fs_join (path, t->dir, names[i], err) != 0)
            return -1;
        FILE *file = fopen (path, "re");
        rc = file ? completions_show_all (t, file, err) : 0;
        if (file)
            fclose (file);
    }
    return rc;
}

/*  Bytes of the whole lines of steps up to `done`; steps only ever rise. */
static off_t completions_true_size (FILE *file, uint64_t done)
{
    char *line = NULL;
    size_t capacity = 0;
    off_t size = 0;
    unsigned long long step;
    for (ssize_t n; (n = getline (&line, &capacity, file)) > 0; size += n)
        if (line[n - 1] != '\n' || sscanf (line, "{\"step\":%llu", &step) != 1 || step > done)
            break;
    free (line);
    return size;
}

/*  Returns what is left of a file, or -1. */
static off_t completions_cut_file (const char *path, uint64_t done, err_t *err)
{
    /* Not "a" or "w": a file that is not there must not be made, and no other one be emptied. */
    FILE *file = fopen (path, "r+e");
    if (!file)
        return errno == ENOENT ? 0 : err_errno (err, ERR_IO, "%s: cannot open", path);
    off_t size = completions_true_size (file, done);
    int rc = ftruncate (fileno (file), size);
    if (fclose (file) != 0)
        rc = -1;
    return rc == 0 ? size : err_errno (err, ERR_IO, "%s: cannot cut", path);
}

/*  When nothing is left of the current file, the one before was current when these steps were done:
 *  it is that again, and the step that made it rotate will do so once more. */
int completions_cut (const trainer_t *t, err_t *err)
{
    char path[FS_PATH_MAX], before[FS_PATH_MAX];
    if (fs_join (path, t->dir, CURRENT, err) != 0 || fs_join (before, t->dir, BEFORE, err) != 0)
        return -1;
    /* The current file first: whether anything is left of it decides what the other one is. */
    off_t left = completions_cut_file (path, t->done, err);
    off_t old = left < 0 ? -1 : completions_cut_file (before, t->done, err);
    if (left < 0 || old < 0)
        return -1;
    if (left == 0 && old > 0 && rename (before, path) != 0)
        return err_errno (err, ERR_IO, "%s: cannot rename", before);
    return old == 0 ? fs_remove (before, err) : 0;
}
