/*  quintet-trainer - trains the policies of one run.
 *
 *  The story: the configuration names a model and a team; the run is taken in Redis under a lease,
 *  the version goes to the bus. Then step by step (stages.c): groups are opened in Redis (round.c)
 *  and waited for (rollout.c); rewards become advantages (credit.c), minibatches (batch.c),
 *  gradients and updates (update.c); the new version is written down (report.c, checkpoint.c),
 *  committed and published (publish.c). Held-out tasks are played before, after and in between.
 */
#include "model/model.h"
#include "trainer.h"

static const svc_t service = {
    .name = "trainer",
    .about = "Trains the policies of one run: opens steps, waits for their groups, computes\n"
             "advantages and losses, updates the weights and publishes every version.\n"
             "\n"
             "  quintet-trainer deploy/config/coding.yml --out runs/mine --set trainer.lr=3e-4\n"
             "  quintet-trainer deploy/config/coding.yml --out runs/mine --resume\n",
    .positional = "CONFIG",
    .redis = true,
    .numerics = model_isa,
    .options = {{"--set", "SECTION.KEY=VALUE...", NULL, "overrides a key of the configuration"},
                {"--out", "DIR", NULL, "the run's folder; runs/NAME when not given"},
                {"--run", "ID", NULL, "the run's id; run.name when not given"},
                {"--resume", NULL, NULL, "goes on from the newest complete checkpoint"}},
    .open = trainer_open,
    .close = trainer_close,
    .on_item = trainer_on_item,
    .work = trainer_work,
    .status = trainer_status,
    .doing = trainer_doing,
};

int main (int argc, char **argv)
{
    return svc_main (&service, argc, argv);
}
