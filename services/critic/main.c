/*  quintet-critic - the centralised value function.
 *
 *  The story: a trainer asks it to learn from the episodes of a step, state k - 1 to state k, and
 *  for values under a state that it names. States are objects on the bus; the critic itself keeps
 *  nothing that it could not get again (critic.c). What it reads is in records.c, what it computes
 *  in regression.c.
 */
#include "critic.h"

static const svc_t service = {
    .name = "critic",
    .about = "The centralised value function: learns from finished episodes, answers with values.\n"
             "Needed when loss.credit names critic.\n"
             "\n"
             "  quintet-critic --bus tcp://10.0.0.1:5550\n",
    .credit = 8,
    .routes = {{"learn", critic_on_learn}, {"value", critic_on_value}},
    .open = critic_open,
    .close = critic_close,
    .on_item = critic_on_item,
    .status = critic_status,
};

int main (int argc, char **argv)
{
    return svc_main (&service, argc, argv);
}
