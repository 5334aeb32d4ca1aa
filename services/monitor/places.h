/*  places - where the lines of a file begin that stand for all of them: every k-th.
 *
 *      places_t places = {0};
 *      places_add (&places, &(place_t){.at = 4096, .size = 800, .step = 5});      every line
 *      size_t from = places_find (&places, 1000);
 *      places_free (&places);
 *
 *  However many lines there are, at most PLACES_MAX are kept: where there is no room, every second
 *  one goes, and from then on half as many are taken. So k is a power of two, and of two files the
 *  shorter one's places are at the steps of the longer one's, and more.
 */
#ifndef QUINTET_MONITOR_PLACES_H
#define QUINTET_MONITOR_PLACES_H

#include <stddef.h>
#include <stdint.h>

#define PLACES_MAX 2048

typedef struct {
    uint64_t at;   /* number of its first byte */
    uint32_t size; /* without its end */
    int64_t step;  /* that the line is of: they rise */
} place_t;

typedef struct {
    place_t *place;
    size_t n;
    uint64_t every, seen; /* k, 0 before the first line; lines so far */
} places_t;

/*  Without memory it is left out. */
void places_add (places_t *places, const place_t *place);
/*  The first of that step or a later one; n: there is none. */
size_t places_find (const places_t *places, int64_t step);
void places_free (places_t *places);

#endif
