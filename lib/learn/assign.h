/*  assign - credit assignment: from the rewards of a step to an advantage of every completion,
 *  pure.
 *
 *      assign_list_t credits;
 *      assign_parse ("role+critic", &credits, &err);
 *      assign_step (&step, &credits, &options, advantages, &flat, &err);
 *
 *  Nearly all credits are of one kind. Every row (an episode, or a role's part in it) has a worth
 *  x, is compared with the other rows of its block, and is divided by how far these lie apart:
 *
 *    A = (x - mean_block) / (std_block + 1e-4)                                 std with n - 1
 *
 *  They differ in what x is and in what makes a block: that is a line of the table in assign.c, and
 *  so is one more credit. All completions of a row have its advantage. A block whose x spread less
 *  than 1e-8 gives zeros, and not noise divided by epsilon.
 */
#ifndef QUINTET_LEARN_ASSIGN_H
#define QUINTET_LEARN_ASSIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define ASSIGN_MAX 8 /* credits of a mixture */

typedef enum { ASSIGN_SCALE_GROUP, ASSIGN_SCALE_BATCH, ASSIGN_SCALE_NONE } assign_scale_t;

/*  What was played in a step. Groups, episodes and completions are numbered over all of it; those
 *  of episode e are first_completion[e] .. first_completion[e + 1] - 1, in the order of their
 *  turns. All is borrowed. */
typedef struct {
    size_t groups, episodes, completions;
    const size_t *first_episode;    /* [groups + 1] */
    const size_t *first_completion; /* [episodes + 1] */
    const uint32_t *role, *turn;    /* [completions] */
    const double *rewards;          /* [episodes]: R_i, the joint reward */
    /* [completions], of the completion's role r; NULL: nobody measured them */
    const double *own;     /* R_(i,r), which is the return from every turn on: rewards come last */
    const double *mates;   /* of this sample of r: mean reward with samples of the others */
    const double *without; /* reward of the episode with nothing in the place of r */
    const double *values;  /* V before the completion, from the critic */
} assign_step_t;

typedef struct {
    assign_scale_t scale;
    bool leave_one_out; /* means are of the others, whatever the credit (RLOO) */
    double lambda;      /* of GAE over turns */
} assign_options_t;

/*  One credit. */
typedef struct {
    const char *name;
    /* x of the row that holds completion c of episode e; NULL: not of this kind (critic) */
    double (*worth) (const assign_step_t *step, size_t e, size_t c);
    const char *x;      /* for formulas */
    bool role, turn;    /* what makes a block, inside the group */
    bool own;           /* x is of R_(i,r) */
    bool leave_one_out; /* mean of the others */
} assign_t;

/*  Credits of which the mean is taken. */
typedef struct {
    const assign_t *credit[ASSIGN_MAX];
    size_t n;
} assign_list_t;

/*  NULL: there is no such credit. "group" is joint, as GRPO calls it. */
const assign_t *assign_find (const char *name);
/*  Names with "+" in between, each once. ERR_CONFIG says which there are. */
int assign_parse (const char *names, assign_list_t *list, err_t *err);
bool assign_has (const assign_list_t *list, const char *name);
/*  Whether one of them looks at what roles got by themselves. */
bool assign_has_own (const assign_list_t *list);
/*  "joint, role, ...". */
void assign_names (buf_t *text);
/*  "(R - mean_group) / (std_group + 1e-4)"; nothing for the critic. */
void assign_formula (const assign_t *credit, const assign_options_t *options, buf_t *text);

/*  Fills advantages [completions]. A single credit stays as it is; several are brought to mean 0
 *  and standard deviation 1 each, or the widest would decide alone, and their mean is taken. The
 *  critic counts where there are values; where nothing is left without it, joint stands in.
 *  *flat: the groups that teach nothing, which are those in which all but the critic give zeros. */
int assign_step (const assign_step_t *step, const assign_list_t *list,
                 const assign_options_t *options, double *advantages, size_t *flat, err_t *err);

#endif
