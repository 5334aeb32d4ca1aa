/*  assign - see assign.h */
#include "learn/assign.h"

#include <stdlib.h>
#include <string.h>

#include "learn/advantage.h"

#define TURNS_MAX 256 /* of one role in an episode; the arrays of assign_gae lie on the stack */

/*  ---- the credits ---------------------------------------------------------------------------- */

static double assign_joint (const assign_step_t *s, size_t e, size_t c)
{
    (void) c;
    return s->rewards[e];
}

static double assign_own (const assign_step_t *s, size_t e, size_t c)
{
    return s->own ? s->own[c] : s->rewards[e];
}

static double assign_mates (const assign_step_t *s, size_t e, size_t c)
{
    return s->mates ? s->mates[c] : s->rewards[e];
}

/*  What is lost when nothing stands in the role's place. */
static double assign_removal (const assign_step_t *s, size_t e, size_t c)
{
    return s->rewards[e] - (s->without ? s->without[c] : 0);
}

/*  joint: every completion of the team gets what the episode got (GRPO: Shao et al. 2024,
 *      "DeepSeekMath", section 4.1; of teams: MAGRPO, Liu et al. 2025, "LLM collaboration with
 *      multi-agent reinforcement learning").
 *  role: the same among the episodes in which the role acted, with rewards of its own where there
 *      are such (Dr. MAS, arXiv 2602.08847).
 *  role_turn: the return from turn t on against those of the other episodes in which the role acted
 *      in turn t (AT-GRPO: Zhao et al. 2025, "Stronger together"). One baseline for the whole
 *      return, never a sum of one per turn: where the policy decides when an episode ends, such a
 *      sum is biased. Leave-one-out, since a row in its own mean would be as well.
 *  cross: a sample of the role is worth the mean reward of the teams in which it stands, each with
 *      other samples of the other roles: the Shapley value of "replaced by a random mate" (the
 *      Cartesian joint mode of CoMLRL). What the mates of the one episode happened to do is
 *      averaged out of it.
 *  removal: what the team gets more than without the role (leave-one-out credit of teams: CCPO,
 *      arXiv 2603.21563).
 *  critic: GAE over the turns in which the role acted, normalised over the batch (assign_gae). */
static const assign_t assign_all[] = {
    {.name = "joint", .worth = assign_joint, .x = "R"},
    {.name = "role", .worth = assign_own, .x = "R_role", .role = true, .own = true},
    {.name = "role_turn",
     .worth = assign_own,
     .x = "R_role",
     .role = true,
     .turn = true,
     .own = true,
     .leave_one_out = true},
    {.name = "cross", .worth = assign_mates, .x = "mean_mates (R)", .role = true},
    {.name = "removal", .worth = assign_removal, .x = "(R - R_without_role)", .role = true},
    {.name = "critic"},
};
#define ASSIGN_ALL_N (sizeof assign_all / sizeof *assign_all)

const assign_t *assign_find (const char *name)
{
    if (strcmp (name, "group") == 0)
        return &assign_all[0];
    for (size_t i = 0; i < ASSIGN_ALL_N; i++)
        if (strcmp (assign_all[i].name, name) == 0)
            return &assign_all[i];
    return NULL;
}

void assign_names (buf_t *text)
{
    for (size_t i = 0; i < ASSIGN_ALL_N; i++)
        buf_printf (text, "%s%s", i ? ", " : "", assign_all[i].name);
}

bool assign_has (const assign_list_t *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp (list->credit[i]->name, name) == 0)
            return true;
    return false;
}

bool assign_has_own (const assign_list_t *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->credit[i]->own)
            return true;
    return false;
}

static int assign_add (const char *name, assign_list_t *list, err_t *err)
{
    const assign_t *credit = assign_find (name);
    if (!credit) {
        buf_t names = {0};
        assign_names (&names);
        err_set (err, ERR_CONFIG, "'%.60s' is no credit: %s, or several with + between", name,
                 names.data ? names.data : "");
        buf_free (&names);
        return -1;
    }
    if (assign_has (list, credit->name))
        return err_set (err, ERR_CONFIG, "names '%s' twice", credit->name);
    if (list->n == ASSIGN_MAX)
        return err_set (err, ERR_CONFIG, "more than %d credits", ASSIGN_MAX);
    list->credit[list->n++] = credit;
    return 0;
}

int assign_parse (const char *names, assign_list_t *list, err_t *err)
{
    char *copy = strdup (names), *rest = copy, *name;
    int rc = copy ? 0 : err_set (err, ERR_LIMIT, "no memory for the names of credits");
    *list = (assign_list_t){0};
    while (rc == 0 && (name = strsep (&rest, "+")))
        rc = assign_add (name, list, err);
    free (copy);
    return rc;
}

void assign_formula (const assign_t *credit, const assign_options_t *options, buf_t *text)
{
    const char *block = credit->turn ? "role_turn" : credit->role ? "role" : "group";
    if (!credit->worth)
        return;
    buf_printf (text, "(%s - mean_%s%s)", credit->x,
                credit->leave_one_out || options->leave_one_out ? "others_of_" : "", block);
    if (options->scale != ASSIGN_SCALE_NONE)
        buf_printf (text, " / (std_%s + 1e-4)",
                    options->scale == ASSIGN_SCALE_BATCH ? "batch" : block);
}

/*  ---- rows and blocks ------------------------------------------------------------------------ */

/*  A block inside a group; ASSIGN_ANY: of all roles, of all turns. */
#define ASSIGN_ANY UINT32_MAX
typedef struct {
    size_t group;
    uint32_t role, turn;
} assign_block_t;

/*  How many blocks there may be; some may be empty. */
typedef struct {
    size_t roles, turns, n;
} assign_blocks_t;

static assign_blocks_t assign_blocks (const assign_step_t *s, const assign_t *credit)
{
    assign_blocks_t all = {1, 1, 0};
    for (size_t c = 0; c < s->completions; c++) {
        if (credit->role && s->role[c] >= all.roles)
            all.roles = (size_t) s->role[c] + 1;
        if (credit->turn && s->turn[c] >= all.turns)
            all.turns = (size_t) s->turn[c] + 1;
    }
    all.n = s->groups * all.roles * all.turns;
    return all;
}

static assign_block_t assign_block (const assign_blocks_t *all, const assign_t *credit, size_t i)
{
    return (assign_block_t){.group = i / (all->roles * all->turns),
                            .role = credit->role ? (uint32_t) (i / all->turns % all->roles)
                                                 : ASSIGN_ANY,
                            .turn = credit->turn ? (uint32_t) (i % all->turns) : ASSIGN_ANY};
}

static bool assign_holds (const assign_step_t *s, const assign_block_t *b, size_t c)
{
    return (b->role == ASSIGN_ANY || b->role == s->role[c]) &&
           (b->turn == ASSIGN_ANY || b->turn == s->turn[c]);
}

/*  Appends x of the block's rows, one for each episode that has completions in it; returns how many
 *  these are. */
static size_t assign_gather (const assign_step_t *s, const assign_t *credit,
                             const assign_block_t *b, double *x)
{
    size_t n = 0;
    for (size_t e = s->first_episode[b->group]; e < s->first_episode[b->group + 1]; e++) {
        size_t c = s->first_completion[e], end = s->first_completion[e + 1];
        while (c < end && !assign_holds (s, b, c))
            c++;
        if (c < end)
            x[n++] = credit->worth (s, e, c);
    }
    return n;
}

/*  Gives each completion of the block what its row has; rows stand as assign_gather found them. */
static void assign_hand_out (const assign_step_t *s, const assign_block_t *b, const double *rows,
                             double *advantages)
{
    for (size_t e = s->first_episode[b->group]; e < s->first_episode[b->group + 1]; e++) {
        bool any = false;
        for (size_t c = s->first_completion[e]; c < s->first_completion[e + 1]; c++)
            if (assign_holds (s, b, c)) {
                advantages[c] = *rows;
                any = true;
            }
        rows += any;
    }
}

/*  x - mean of the others = (x - mean) n / (n - 1) (Ahmadian et al. 2024, "Back to Basics"). A row
 *  alone in its block has nothing to be compared with, and so gets 0. */
static void assign_compare (double *x, size_t n, bool leave_one_out, const double *divisor)
{
    advantage_spread_t s = advantage_spread (x, n);
    bool flat = s.spread < ADVANTAGE_SPREAD_MIN;
    double most = leave_one_out && n > 1 ? (double) n / (double) (n - 1) : 1;
    for (size_t i = 0; i < n; i++)
        x[i] = flat ? 0
                    : (x[i] - s.mean) * most / (divisor ? *divisor : s.std + ADVANTAGE_STD_EPSILON);
}

/*  rows: room for as many as there are completions. */
static void assign_rows (const assign_step_t *s, const assign_t *credit,
                         const assign_options_t *options, double *rows, double *advantages)
{
    const assign_blocks_t all = assign_blocks (s, credit);
    double divisor = 1;
    size_t n = 0;
    for (size_t i = 0; options->scale == ASSIGN_SCALE_BATCH && i < all.n; i++) {
        assign_block_t block = assign_block (&all, credit, i);
        n += assign_gather (s, credit, &block, rows + n);
    }
    if (options->scale == ASSIGN_SCALE_BATCH)
        divisor = advantage_spread (rows, n).std + ADVANTAGE_STD_EPSILON;
    for (size_t i = 0; i < all.n; i++) {
        assign_block_t block = assign_block (&all, credit, i);
        n = assign_gather (s, credit, &block, rows);
        assign_compare (rows, n, credit->leave_one_out || options->leave_one_out,
                        options->scale == ASSIGN_SCALE_GROUP ? NULL : &divisor);
        assign_hand_out (s, &block, rows, advantages);
    }
}

/*  ---- critic --------------------------------------------------------------------------------- */

/*  GAE over the turns in which one role of an episode acted. */
static int assign_gae (const assign_step_t *s, size_t e, uint32_t role, double lambda,
                       double *advantages, err_t *err)
{
    double value[TURNS_MAX] = {0}, advantage[TURNS_MAX];
    size_t at[TURNS_MAX], turns = 0;
    for (size_t c = s->first_completion[e]; c < s->first_completion[e + 1]; c++) {
        if (s->role[c] != role)
            continue;
        if (turns == TURNS_MAX)
            return err_set (err, ERR_LIMIT, "an episode of more than %d turns", TURNS_MAX);
        at[turns] = c;
        /* Completions stand in the order of their turns, which is the order that GAE runs along. */
        value[turns++] = s->values[c];
    }
    advantage_gae (value, turns, s->rewards[e], lambda, advantage);
    for (size_t t = 0; t < turns; t++)
        advantages[at[t]] = advantage[t];
    return 0;
}

static int assign_critic (const assign_step_t *s, double lambda, double *advantages, err_t *err)
{
    for (size_t e = 0; e < s->episodes; e++)
        for (size_t c = s->first_completion[e]; c < s->first_completion[e + 1]; c++) {
            bool first = true; /* of this role in the episode: assign_gae takes all of its turns */
            for (size_t b = s->first_completion[e]; first && b < c; b++)
                first = s->role[b] != s->role[c];
            if (first && assign_gae (s, e, s->role[c], lambda, advantages, err) != 0)
                return -1;
        }
    /* Over the whole step, not by group: the critic is what makes episodes of different tasks
       comparable. */
    advantage_normalise (advantages, s->completions);
    return 0;
}

/*  ---- mixtures ------------------------------------------------------------------------------- */

/*  Without a critic that is trusted, what is left; at least joint. */
static assign_list_t assign_in_use (const assign_step_t *s, const assign_list_t *list, bool critic)
{
    assign_list_t use = {0};
    for (size_t i = 0; i < list->n; i++)
        if (list->credit[i]->worth || (critic && s->values))
            use.credit[use.n++] = list->credit[i];
    if (use.n == 0)
        use.credit[use.n++] = &assign_all[0];
    return use;
}

/*  Marks the groups that this credit teaches something. */
static void assign_mark (const assign_step_t *s, const double *advantages, bool *teaches)
{
    for (size_t g = 0; g < s->groups; g++)
        for (size_t c = s->first_completion[s->first_episode[g]];
             c < s->first_completion[s->first_episode[g + 1]]; c++)
            teaches[g] = teaches[g] || advantages[c] < 0 || advantages[c] > 0;
}

static size_t assign_count_flat (const assign_step_t *s, const bool *teaches)
{
    size_t flat = 0;
    for (size_t g = 0; g < s->groups; g++)
        flat += !teaches[g] && s->first_episode[g + 1] > s->first_episode[g];
    return flat;
}

/*  work: rows, and the advantages of one credit. */
static int assign_mix (const assign_step_t *s, const assign_list_t *use,
                       const assign_options_t *options, double *work, double *advantages,
                       err_t *err)
{
    double *one = work + s->completions;
    memset (advantages, 0, s->completions * sizeof *advantages);
    for (size_t i = 0; i < use->n; i++) {
        const assign_t *credit = use->credit[i];
        memset (one, 0, s->completions * sizeof *one);
        if (credit->worth)
            assign_rows (s, credit, options, work, one);
        else if (assign_critic (s, options->lambda, one, err) != 0)
            return -1;
        if (use->n > 1)
            advantage_normalise (one, s->completions);
        for (size_t c = 0; c < s->completions; c++)
            advantages[c] += one[c] / (double) use->n;
    }
    return 0;
}

/*  Whether a group teaches anything is asked of each credit by itself: a mixture is brought to mean
 *  0 over the batch, in which nothing is 0 any more. */
int assign_step (const assign_step_t *s, const assign_list_t *list, const assign_options_t *options,
                 double *advantages, size_t *flat, err_t *err)
{
    const assign_list_t use = assign_in_use (s, list, true), rows = assign_in_use (s, list, false);
    double *work = calloc (2 * s->completions + 1, sizeof *work);
    bool *teaches = calloc (s->groups + 1, sizeof *teaches);
    int rc = work && teaches
                 ? 0
                 : err_set (err, ERR_LIMIT, "no memory for %zu advantages", s->completions);
    for (size_t i = 0; rc == 0 && i < rows.n; i++) {
        memset (advantages, 0, s->completions * sizeof *advantages);
        assign_rows (s, rows.credit[i], options, work, advantages);
        assign_mark (s, advantages, teaches);
    }
    if (rc == 0) {
        *flat = assign_count_flat (s, teaches);
        rc = assign_mix (s, &use, options, work, advantages, err);
    }
    free (work);
    free (teaches);
    return rc;
}
