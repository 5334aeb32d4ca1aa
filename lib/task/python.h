/*  python - small functions as an untrained model would write them: for seed models' texts.
 *
 *      python_t code = {.filter = "x > 0", .map = "x * x", .reduce = "sum(%s)", .rng = &rng};
 *      python_loop (&code, "main(xs)", code.map, code.filter, "xs", &out);
 *      python_break_bracket (&rng, &out);
 *
 *  The order of the draws is part of the format: the shipped seed models are rebuilt from these
 *  texts byte by byte.
 */
#ifndef QUINTET_TASK_PYTHON_H
#define QUINTET_TASK_PYTHON_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/rng.h"

typedef struct {
    const char *filter, *map, *reduce; /* code; filter "": all; reduce NULL: the list itself */
    rng_t *rng;
} python_t;

bool python_chance (rng_t *rng, double p);
/*  Three in ten functions have a docstring, three in ten a comment. */
void python_note (rng_t *rng, const char *what, buf_t *out);
/*  [map for x in source if condition], as short as it can be said. */
void python_comprehension (const char *map, const char *condition, const char *source, buf_t *out);
/*  The reduction of a list expression, which is never a bare generator. */
void python_reduction (const char *reduce, const char *map, const char *condition,
                       const char *source, buf_t *out);
/*  A whole function as a loop; head: "main(xs)". Half of the texts are, so that the model does not
 *  take one shape for the only one. */
void python_loop (const python_t *code, const char *head, const char *map, const char *condition,
                  const char *source, buf_t *out);
/*  Three in a hundred lose their last bracket. */
void python_break_bracket (rng_t *rng, buf_t *text);

#endif
