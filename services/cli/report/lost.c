/*  lost - see lost.h */
#include "lost.h"

/*  Without a baseline result is NULL, of which jansson reads 0. */
static void lost_add (lost_t *lost, const json_t *result)
{
    lost->groups += (size_t) json_number_value (json_object_get (result, "groups"));
    lost->lost += (size_t) json_number_value (json_object_get (result, "lost_groups"));
}

lost_t lost_count (const result_t *result)
{
    lost_t lost = {0};
    lost_add (&lost, result->team);
    lost_add (&lost, result->solo);
    return lost;
}

/*  Why is in the logs of the environments, which gave them up, one line for each. */
void lost_print (const lost_t *lost, FILE *to)
{
    if (lost->lost)
        fprintf (to,
                 "Lost: %zu of %zu groups could not be played or scored; lines of group.dead in "
                 "logs/environment-*.log say why.\n",
                 lost->lost, lost->groups);
}

int lost_check (const lost_t *lost, double share, err_t *err)
{
    if (!lost->lost || (double) lost->lost <= share * (double) lost->groups)
        return 0;
    return err_set (err, ERR_IO,
                    "%zu of %zu groups were lost, more than run.lost_share %g allows; lines of "
                    "group.dead in logs/environment-*.log say why",
                    lost->lost, lost->groups, share);
}
