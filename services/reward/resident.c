/*  resident - see resident.h */
#include "resident.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define RESIDENT_QUESTIONS 200 /* of one fork: what answering leaves behind stays bounded */

struct resident {
    protocol_kind_t part;
    child_t *child;         /* the fork that answers, or NULL: the next question makes one */
    const zygote_t *zygote; /* whose fork it is */
    child_limits_t limits;  /* that it was made with */
    size_t questions;       /* that it was asked */
};

resident_t *resident_new (protocol_kind_t part, err_t *err)
{
    resident_t *resident = calloc (1, sizeof *resident);
    if (resident)
        resident->part = part;
    else
        err_set (err, ERR_LIMIT, "no memory for a process of the sandbox");
    return resident;
}

void resident_destroy (resident_t **resident)
{
    if (!*resident)
        return;
    child_destroy (&(*resident)->child);
    free (*resident);
    *resident = NULL;
}

static int resident_prepare (resident_t *resident, zygote_t *zygote, const child_limits_t *limits,
                             err_t *err)
{
    /* The time for all is what its questions may take together, so only the limit for one question
     * ever decides. */
    const child_limits_t all = {.cpu_s = limits->cpu_s,
                                .cpu_total_s = limits->cpu_s * RESIDENT_QUESTIONS,
                                .memory = limits->memory};
    if (resident->child && resident->zygote == zygote && resident->questions < RESIDENT_QUESTIONS &&
        memcmp (&resident->limits, &all, sizeof all) == 0)
        return 0;
    child_destroy (&resident->child);
    resident->child = zygote_fork (zygote, resident->part, &all, err);
    resident->zygote = zygote;
    resident->limits = all;
    resident->questions = 0;
    return resident->child ? 0 : -1;
}

/*  NULL without an error: it ended over this question. */
static json_t *resident_try (resident_t *resident, zygote_t *zygote, const child_limits_t *limits,
                             const char *question, child_ending_t *ending, err_t *err)
{
    buf_t answer = {0};
    json_t *value = NULL;
    if (resident_prepare (resident, zygote, limits, err) != 0)
        return NULL;
    if (child_ask (resident->child, question, strlen (question), &answer, ending, err) == 0 &&
        *ending == CHILD_NONE) {
        value = json_loadb (answer.data, answer.size, JSON_ALLOW_NUL, NULL);
        if (!value)
            *ending = CHILD_OUTPUT;
    }
    resident->questions++;
    buf_free (&answer);
    if (!value)
        child_destroy (&resident->child);
    return value;
}

json_t *resident_ask (resident_t *resident, zygote_t *zygote, const child_limits_t *limits,
                      const char *question, child_ending_t *ending, err_t *err)
{
    *ending = CHILD_NONE;
    json_t *value = resident_try (resident, zygote, limits, question, ending, err);
    if (value || *ending == CHILD_NONE || resident->questions == 1)
        return value;
    *ending = CHILD_NONE;
    return resident_try (resident, zygote, limits, question, ending, err);
}
