/*  told - how episodes go on that a program plays. See internal.h
 *
 *  Every episode that waits is one line, with all that was said in it so far; so whoever runs the
 *  program can begin it again. What comes back has been checked there, line by line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

void group_ask_step (group_t *group)
{
    char name[GROUP_ID_MAX], id[GROUP_ID_MAX + 24], where[32];
    err_t err = {0};
    int rc = 0;
    group_forget_asks (group);
    group->state = GROUP_ASKING;
    group->stage = STAGE_STEP;
    if (!group->message->program || !*group->message->program) {
        group_fail (group, ERR_INPUT, "the task is one that a program plays, and none is named");
        return;
    }
    group_ask_t *ask = group_new_ask (group, "step");
    for (size_t e = 0; rc == 0 && e < group->n; e++) {
        if (!episode_waits (group->tables[e].episode))
            continue;
        snprintf (id, sizeof id, "%s%zu", group_name (group, name), e);
        rc = episode_so_far (group->tables[e].episode, id, &ask->payload, &err);
        buf_char (&ask->payload, '\n');
    }
    snprintf (where, sizeof where, "/%u", group->turn);
    snprintf (ask->what, sizeof ask->what, "turn %u: ", group->turn + 1);
    if (rc == 0)
        group_finish_ask (group, ask, where);
    else
        group_fail (group, err.code, "turn %u: %s", group->turn, err.text);
}

/*  One line for each episode that waits. */
int group_check_told (const group_t *group, const void *data, size_t size, err_t *err)
{
    size_t lines = 0, waiting = 0;
    for (size_t i = 0; i < size; i++)
        lines += ((const char *) data)[i] == '\n';
    for (size_t e = 0; e < group->n; e++)
        waiting += episode_waits (group->tables[e].episode);
    return lines == waiting
               ? 0
               : err_set (err, ERR_INTERNAL, "%zu answers of %zu episodes", lines, waiting);
}

void group_end_told (group_t *group, const void *data, size_t size)
{
    const char *line = data, *end = line + size;
    for (size_t e = 0; e < group->n && group->state != GROUP_FAILED; e++) {
        episode_t *episode = group->tables[e].episode;
        err_t err = {0};
        if (!episode_waits (episode))
            continue;
        size_t n = (size_t) ((const char *) memchr (line, '\n', (size_t) (end - line)) - line);
        json_t *answer = json_loadb (line, n, 0, NULL);
        if (episode_told (episode, answer, &err) != 0)
            group_fail (group, ERR_INTERNAL, "turn %u, episode %zu: %s", group->turn, e, err.text);
        json_decref (answer);
        line += n + 1;
    }
    if (group->state != GROUP_FAILED)
        group_go_on (group);
}
