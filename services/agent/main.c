/*  quintet-agent - hosts policies and answers act requests.
 *
 *  The story: manifests announce policy versions, whose objects are fetched, verified (versions.c)
 *  and made into models aside (build.c). An act request names a version and lists prompts; it
 *  joins the batch (acts.c). Between two items from the bus one token is decoded for every row.
 *  What is complete is replied. A request may also name a server of others, which is asked instead
 *  (engines.c).
 */
#include "agent.h"
#include "model/model.h"

static const svc_t service = {
    .name = "agent",
    .about = "Hosts policies and answers act requests: samples completions of whatever policy\n"
             "version a request names. Start as many as you like, anywhere.\n"
             "\n"
             "  quintet-agent --bus tcp://10.0.0.1:5550 --threads 8\n",
    .credit = 256,
    .numerics = model_isa,
    .options = {{"--rows", "N", "128", "completions decoded at once, of policies of one shape"},
                {"--kept", "N", "1", "versions of one policy that are held at most"},
                {"--engine", "SERVERS", "",
                 "that it may ask: 'URL MODEL KEY_ENV N', a ';' between two; the environment holds "
                 "the key, N questions at once"},
                {"--past", "MB", "256",
                 "keys and values kept for roles with memory: own; 0: none"}},
    .routes = {{"act", agent_on_act}},
    .open = agent_open,
    .close = agent_close,
    .on_item = agent_on_item,
    .work = agent_work,
    .status = agent_status,
};

int main (int argc, char **argv)
{
    return svc_main (&service, argc, argv);
}
