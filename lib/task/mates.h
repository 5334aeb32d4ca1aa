/*  mates - teams of a group that were never played, but are scored, so that each role's part in a
 *  reward shows.
 *
 *      mates_teams_t teams;
 *      mates_teams (&(mates_t){.cross = true}, roles_n, episodes, &teams, &err);
 *      mates_write (&teams, roles, histories, episodes, texts, &err);
 *      mates_free (&teams);
 *
 *  A team is put together from what the group's episodes say: of each role, one episode's sample,
 *  or nothing. Which teams there are follows from the numbers of roles and episodes alone, so
 *  whoever asks for their rewards and whoever gets them agree on what they are of. They stand in
 *  one order: those of cross, then those of removal.
 *
 *  cross: samples of one role with samples of the others, in episodes of one turn in which all
 *  roles act side by side. Two roles: each with each. Three: each pair of samples in three teams
 *  (i, j, i + j + o; Latin squares), which is balanced and, with those that were played, at most
 *  4 G^2. Episodes of a group are drawn alike, so their numbers are as good as drawn lots.
 *  removal: each episode without each of its roles; what the others said stays.
 *  A single role has no mates, and nothing is left without it: no team.
 */
#ifndef QUINTET_TASK_MATES_H
#define QUINTET_TASK_MATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MATES_ROLES_MAX    3          /* of cross */
#define MATES_EPISODES_MAX 128        /* of cross: at most 4 * 128^2 scorings */
#define MATES_NOBODY       UINT32_MAX /* in the place of a role */

typedef struct {
    bool cross, removal;
} mates_t;

typedef struct {
    size_t roles, n;
    uint32_t *of; /* [n * roles]: the episode of which a role has its sample, or MATES_NOBODY */
} mates_teams_t;

/*  How many teams there are besides those that were played; of what mates_teams refuses: none. */
size_t mates_count (const mates_t *which, size_t roles, size_t episodes);
/*  ERR_INPUT: cross of more roles or episodes than above. ERR_LIMIT: no memory. */
int mates_teams (const mates_t *which, size_t roles, size_t episodes, mates_teams_t *teams,
                 err_t *err);
void mates_free (mates_teams_t *teams);

/*  The teams' histories (episode.h), from those of the group's episodes; texts [teams->n] are the
 *  caller's to free, also after a failure. ERR_INPUT: cross of episodes in which not all roles act
 *  in one turn. */
int mates_write (const mates_teams_t *teams, const char *const *roles, const char *const *histories,
                 size_t episodes, char **texts, err_t *err);

#endif
