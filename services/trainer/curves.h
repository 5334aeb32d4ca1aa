/*  curves - what a run writes down as TensorBoard shows it, under the names that TRL gives.
 *
 *      curves_line (&bytes, line);                         a line of metrics.jsonl: scalars
 *
 *  A step's numbers are train/NAME, an evaluation's eval/NAME. Where TRL's GRPOTrainer has a name
 *  for a number, that one is taken ("train/completions/mean_length"), else our own stays.
 */
#ifndef QUINTET_TRAINER_CURVES_H
#define QUINTET_TRAINER_CURVES_H

#include <jansson.h>

#include "base/buf.h"

#define CURVES_TAG_MAX 160

/*  The tag of a number of an event ("step", "eval"). */
void curves_tag (const char *event, const char *name, char tag[CURVES_TAG_MAX]);
void curves_line (buf_t *bytes, const json_t *line);

#endif
