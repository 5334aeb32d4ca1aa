/*  decimal - see decimal.h */
#include "base/decimal.h"

#include <math.h>
#include <stdio.h>

const char *decimal_text (char text[DECIMAL_MAX], double value, int digits)
{
    double near = fmax (fabs (value) * 1e-9, 1e-12);
    int n = snprintf (text, DECIMAL_MAX, "%.*f", digits, value + copysign (near, value));
    /* Larger than anything that is measured. */
    if (n >= DECIMAL_MAX)
        snprintf (text, DECIMAL_MAX, "%.3g", value);
    return text;
}
