/*  scorer - one worker's way to a reward: the family's scorer, or the user's own program.
 *
 *      scorer_t *scorer = scorer_new ("", "", WALL_LANDLOCK, library);
 *      episode_t *episode = scorer_score (scorer, &job, &score, &err);
 *      scorer_join (&job, episode, &score, &reward, &err);
 *      scorer_destroy (&scorer);
 *
 *  Sandbox and program are started at first use and again when they die. ERR_INPUT is a property of
 *  the job; anything else is the machinery's and worth another try. One thread uses a scorer_t.
 *
 *  The program is the one that the service was started with. A job only says which one it counts
 *  on: else whoever reaches the bus could run anything here.
 */
#ifndef QUINTET_REWARD_SCORER_H
#define QUINTET_REWARD_SCORER_H

#include "base/err.h"
#include "library.h"
#include "task/reward.h"
#include "wall.h"

#define SCORER_COMMAND_S 20

/*  One episode: what its group has in common, and its own history. */
typedef struct {
    const char *command; /* "" for the family's own scorer */
    double command_s;    /* that it has for an answer; 0: SCORER_COMMAND_S */
    const char *modules; /* that programs may import, besides Python's own */
    reward_weights_t weights;
    const char *task; /* JSON, with the hidden checks */
    const char *const *roles;
    size_t roles_n;
    episode_limits_t limits;
    const char *history; /* JSON */
    const char *tool;    /* "", or what is to be found in the unfinished episode instead */
    const char *query;   /* that the tool is asked; may be NULL */
} scorer_job_t;

typedef struct scorer scorer_t;

/*  command: the user's own program, or "" when there is none; modules and wall: as sandbox.h says;
 *  library: of the tool retrieve, shared. Borrowed. */
scorer_t *scorer_new (const char *command, const char *modules, wall_t wall, library_t *library);
void scorer_destroy (scorer_t **scorer);
/*  From any thread: what the program is asked fails within a moment, now and later. */
void scorer_stop (scorer_t *scorer);
/*  ERR_CONFIG: the run counts on another program or other modules than this service has. */
int scorer_check (const scorer_t *scorer, const char *command, const char *modules, err_t *err);
/*  The episode that was scored, the caller's. */
episode_t *scorer_score (scorer_t *scorer, const scorer_job_t *job, reward_score_t *score,
                         err_t *err);
/*  What is left to do once the score is told: as sandbox_rest. */
void scorer_rest (scorer_t *scorer);
/*  What a score comes to. Of what a tool found nothing is weighed: it is a reward's success,
 *  quality and verdict. */
int scorer_join (const scorer_job_t *job, const episode_t *episode, const reward_score_t *score,
                 reward_t *reward, err_t *err);

#endif
