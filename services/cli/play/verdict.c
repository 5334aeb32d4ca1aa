/*  verdict - see verdict.h */
#include "verdict.h"

#include <string.h>

#include "base/decimal.h"
#include "base/printable.h"

void verdict_show (const conf_t *conf, const wire_reward_t *r, const stream_show_t *show)
{
    FILE *to = show->to;
    stream_heading (show, "verdict");
    printable_print (to, r->verdict, strlen (r->verdict), PRINTABLE_LINE);
    fprintf (to, "%sreward %s = %g quality %s + %g speed %s - %g cost %s\n",
             *r->verdict ? "\n" : "", DECIMAL (r->reward, 3), conf->reward.quality,
             DECIMAL (r->quality, 3), conf->reward.speed, DECIMAL (r->speed, 3), conf->reward.cost,
             DECIMAL (r->cost, 3));
    /* A scorer of one's own need not say either. */
    buf_t line = {0};
    if (!r->success_unknown)
        buf_printf (&line, ", success %s", r->success ? "yes" : "no");
    if (!r->agreement_unknown)
        buf_printf (&line, ", agreement %s", DECIMAL (r->agreement, 3));
    for (size_t i = 0; i < r->parts_n; i++)
        buf_printf (&line, ", %s %s", r->parts[i].name, DECIMAL (r->parts[i].value, 3));
    if (line.size)
        fprintf (to, "%s\n", line.data + 2);
    buf_free (&line);
}
