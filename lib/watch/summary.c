/*  summary - see summary.h */
#include "watch/summary.h"

#include <stdio.h>
#include <string.h>

#include "watch/folder.h"
#include "watch/history.h"

void summary_look (summary_t *s, const char *dir)
{
    history_t history;
    history_read (&history, dir);
    if (json_is_number (json_object_get (history.started, "time_s")))
        s->started_s = json_number_value (json_object_get (history.started, "time_s"));
    /* A trainer that was started without `quintet run` has no history, but its lock. */
    snprintf (s->state, sizeof s->state, "%s",
              history.started                       ? history_state (&history)
              : folder_locked (dir, FOLDER_TRAINER) ? "running"
              : folder_finished (dir, NULL)         ? "finished"
                                                    : "unfinished");
    history_free (&history);
}

void summary_line (summary_t *s, json_t *line)
{
    const char *event = json_string_value (json_object_get (line, "event"));
    const json_t *wall = json_object_get (line, "wall_s"), *time = json_object_get (line, "time_s");
    if (json_is_number (wall))
        s->wall_s = json_number_value (wall);
    /* Where nothing says when it was started, the first line is nearest to that. */
    if (isnan (s->started_s) && json_is_number (time))
        s->started_s = json_number_value (time);
    if (event && strcmp (event, "step") == 0)
        s->step = (int64_t) json_number_value (json_object_get (line, "step"));
    if (!event || strcmp (event, "eval") != 0)
        return;
    if (!s->before)
        s->before = json_incref (line);
    json_decref (s->after);
    s->after = json_incref (line);
}

void summary_free (summary_t *s)
{
    json_decref (s->before);
    json_decref (s->after);
    s->before = s->after = NULL;
}
