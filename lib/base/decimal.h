/*  decimal - a number for people, rounded in the same way wherever it is shown.
 *
 *      printf ("pass rate %s", DECIMAL (rate, 3));
 *
 *  A mean such as 0.8825 has no exact double, and what is read back from a file is a neighbour of
 *  what was written: printf would round the one up and the other down. Here a half is rounded away
 *  from 0, and so is what misses it by no more than nine written digits may.
 */
#ifndef QUINTET_BASE_DECIMAL_H
#define QUINTET_BASE_DECIMAL_H

#define DECIMAL_MAX 48

/*  Fills text and returns it; digits: behind the point. */
const char *decimal_text (char text[DECIMAL_MAX], double value, int digits);
/*  The same in memory that lasts as long as the block around it. */
#define DECIMAL(value, digits) decimal_text ((char[DECIMAL_MAX]){0}, value, digits)

#endif
