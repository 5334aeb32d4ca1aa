/*  prompts - what every role of an episode was told, worked out again from its global state.
 *
 *      prompts_add (episode);                  "prompt" beside "text" of every action
 */
#ifndef QUINTET_WATCH_PROMPTS_H
#define QUINTET_WATCH_PROMPTS_H

#include <jansson.h>

/*  episode: a line of episodes.jsonl. An action that has its prompt keeps it. Where the prompt
 *  cannot be worked out (an episode of another version), it is left out. */
void prompts_add (json_t *episode);

#endif
