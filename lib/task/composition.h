/*  composition - small functions over a list of numbers: filter, map and reduction.
 *
 *      size_t parts[3];
 *      composition_at (i, parts);
 *      composition_say (parts, &rng, &brief);     "Return the sum of the squares of the even ..."
 *      composition_list_t xs = composition_draw (&rng, 1);
 *      json_t *result = composition_result (parts, &xs);
 *
 *  What the families of programs make their built-in tasks of. A function is named by what it
 *  computes: the 800 compositions are 586 functions.
 */
#ifndef QUINTET_TASK_COMPOSITION_H
#define QUINTET_TASK_COMPOSITION_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/rng.h"

#define COMPOSITION_FILTERS  10
#define COMPOSITION_MAPS     10
#define COMPOSITION_REDUCES  8
#define COMPOSITION_SYNONYMS 3
#define COMPOSITIONS         (COMPOSITION_FILTERS * COMPOSITION_MAPS * COMPOSITION_REDUCES)
/*  Numbers in a list, and a place for the number that an empty one is reduced to. */
#define COMPOSITION_LIST_MAX 10

typedef struct {
    const char *code; /* an expression of x, or a reduction with %s for the list */
    const char *words[COMPOSITION_SYNONYMS];
} composition_part_t;

extern const composition_part_t composition_filters[COMPOSITION_FILTERS];
extern const composition_part_t composition_maps[COMPOSITION_MAPS];
extern const composition_part_t composition_reduces[COMPOSITION_REDUCES];

typedef struct {
    long x[COMPOSITION_LIST_MAX];
    size_t n;
} composition_list_t;

/*  The numbers of the filter, the map and the reduction of composition i. */
void composition_at (size_t i, size_t parts[3]);
/*  Appends what it computes in words, in one of its wordings. */
void composition_say (const size_t parts[3], rng_t *rng, buf_t *brief);
/*  A name for the function that a composition computes: by what it gives for many lists. Many
 *  compositions are one function (the number of the squares of the even numbers is the number of
 *  the even numbers), and whoever has learnt one of them has seen them all. Eight letters; they
 *  stay. */
const char *composition_name (const size_t parts[3]);
/*  One of the parts is taken for another. */
void composition_mistake (size_t parts[3], rng_t *rng);

/*  A list as tests have them: number 0 is empty, the others have 3 to 9 numbers from -12 to 20. */
composition_list_t composition_draw (rng_t *rng, size_t number);
/*  New values: the list itself, and what a composition gives for it. */
json_t *composition_numbers (const composition_list_t *xs);
json_t *composition_result (const size_t parts[3], const composition_list_t *xs);

#endif
