/*  transcripts - a step's episodes as the critic reads them: briefs, what was told, and what was
 *  said.
 *
 *      transcripts_t *transcripts = transcripts_new (rollout, roles, roles_n, &err);
 *      request.groups = transcripts->groups;
 *      transcripts_destroy (&transcripts);
 *
 *  Dead groups have no episodes and are left out; so episodes are counted as the rollout counts
 *  them. The tasks' hidden checks stay here: nobody learns from them.
 */
#ifndef QUINTET_TRAINER_TRANSCRIPTS_H
#define QUINTET_TRAINER_TRANSCRIPTS_H

#include "rollout.h"

typedef struct {
    wire_transcripts_t *groups;
    size_t n;
    arena_t *arena;
} transcripts_t;

/*  ERR_INPUT names an episode whose history or task is none. */
transcripts_t *transcripts_new (const rollout_t *rollout, const char *const *roles, size_t roles_n,
                                err_t *err);
void transcripts_destroy (transcripts_t **transcripts);

#endif
